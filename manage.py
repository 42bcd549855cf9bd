#!/usr/bin/env python3
"""Django's command-line entry point."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "speechsite.settings")
    from speechsite.config import ConfigError, get_config

    try:
        get_config().make_data_dir()
    except ConfigError as error:
        # Django would wrap it in a traceback, or say that the command is unknown.
        sys.exit(f"The settings are wrong:\n{error}")
    except OSError as error:
        sys.exit(f"DATA_DIR: the folder cannot be made: {error}")

    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
