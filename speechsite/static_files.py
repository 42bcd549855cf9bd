"""Static files of the production profile."""

from servestatic.storage import CompressedManifestStaticFilesStorage


class ManifestStorage(CompressedManifestStaticFilesStorage):
    """Hashed names also in the import statements of ES modules, which Django rewrites only when asked."""

    support_js_module_import_aggregation = True
