"""Other designs of the same gateway, each whole in its module, to be measured in the same run."""
