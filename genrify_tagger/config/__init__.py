"""Settings: declarations, and loading from file, environment and command line.

Later sources win: defaults, the settings file (TOML), environment variables ``GENRIFY_<SECTION>__<KEY>``, command-line
options. The origin of each value is kept.

Only the pipeline and the entry points use `Settings`; the stages take plain values.
"""

from genrify_tagger.config.declarations import Setting, declared, sections
from genrify_tagger.config.default_paths import config_path, default_database_url, sqlite_path
from genrify_tagger.config.loading import LoadedSettings, current_value, load_settings
from genrify_tagger.config.notify_settings import NotifySettings
from genrify_tagger.config.rendering import (
    default_text,
    effective_json,
    effective_toml,
    example_text,
    settings_template,
)
from genrify_tagger.config.settings import (
    AnalysisSettings,
    ClusterSettings,
    DatabaseSettings,
    GenreSettings,
    LearnSettings,
    LibrarySettings,
    Settings,
    TaggingSettings,
    WatchSettings,
    WebSettings,
    shipped_choice,
)
from genrify_tagger.config.values import nearest

__all__ = [
    "AnalysisSettings",
    "ClusterSettings",
    "DatabaseSettings",
    "GenreSettings",
    "LearnSettings",
    "LibrarySettings",
    "LoadedSettings",
    "NotifySettings",
    "Setting",
    "Settings",
    "TaggingSettings",
    "WatchSettings",
    "WebSettings",
    "config_path",
    "current_value",
    "declared",
    "default_database_url",
    "default_text",
    "effective_json",
    "effective_toml",
    "example_text",
    "load_settings",
    "nearest",
    "sections",
    "settings_template",
    "shipped_choice",
    "sqlite_path",
]
