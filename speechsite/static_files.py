"""Static files of the production profile."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class ManifestStorage(CompressedManifestStaticFilesStorage):
    """Hashed names also in the import statements of ES modules, which Django rewrites only when asked."""

    support_js_module_import_aggregation = True
    # A file's hash settles one pass after those of the files it imports. Django's 5 are fewer than our
    # modules are deep, and then it gives up; a circle of imports ends at any bound.
    max_post_process_passes = 20
