"""Hook for MkDocs: a page has the path that it has in the repository, so that one link works on both."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Move the files of docs/ below ``docs/``, and add those of the repository that ``mkdocs.yml`` names."""
    root = Path(config.config_file_path).parent
    docs = Path(config.docs_dir)
    paths = [
        docs.relative_to(root) / file.src_uri
        for file in files
        if file.src_dir == config.docs_dir and not file.src_uri.endswith(".py")
    ]
    for pattern in config.extra["repository_files"]:
        found = sorted(path.relative_to(root) for path in root.glob(pattern) if path.is_file())
        if not found:
            msg = f"mkdocs.yml: nothing matches '{pattern}' in repository_files"
            raise FileNotFoundError(msg)
        paths += found
    pages = [File(path.as_posix(), str(root), config.site_dir, config.use_directory_urls) for path in paths]
    return Files([file for file in files if file.src_dir != config.docs_dir] + pages)
