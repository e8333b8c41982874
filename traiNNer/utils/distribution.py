"""What pip calls this project, and the versions of what is installed."""

from importlib import metadata

DISTRIBUTION = "trainner-sr"


def version_of(package: str) -> str | None:
    """Return the version of an installed distribution; None where it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
