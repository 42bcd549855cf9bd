"""Django's settings: plain assignments from the typed settings in config.py."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from speechsite.config import BASE_DIR, LOOPBACK_HOSTS, ConfigError, get_config
from speechsite.database import parse_database_url
from speechsite.lockout import FAILURES, LOCKED_FOR_S, answer_locked_out, client_address, tried_name
from speechsite.logs import logging_config

try:
    CONFIG = get_config()
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from None

CONFIG.make_data_dir()

# Before gRPC is imported: starting a program (the decoder of a file) would otherwise halt its threads for a moment.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

SECRET_KEY = CONFIG.secret_key.get_secret_value() or CONFIG.development_secret_key()
DEBUG = False
ALLOWED_HOSTS = CONFIG.allowed_hosts or [*LOOPBACK_HOSTS, "[::1]"]
ROOT_URLCONF = "speechsite.urls"
ASGI_APPLICATION = "speechsite.asgi.application"

INSTALLED_APPS = [
    # First: it makes runserver speak ASGI. Nothing else needs it, and it brings Twisted along: 21 MB and
    # a fifth of the start-up of every process.
    *(["daphne"] if "runserver" in sys.argv else []),
    "servestatic.runserver_nostatic",
    # Not its pages in the parent of `serve`, which shows none: they import nearly everything.
    "django.contrib.admin.apps.SimpleAdminConfig" if sys.argv[1:2] == ["serve"] else "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "csp",
    "corsheaders",
    "simple_history",
    "axes",
    "transcription",
    "transcription.webhooks",
    "transcription.review",
    "transcription.audit",
    "transcription.retention",
    # Behind ours, which has a command of the same name.
    "ninja",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "transcription.audit.middleware.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    # Last: it turns the answer to a login that was locked out into one that says so.
    "axes.middleware.AxesMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "transcription.pages.context.site",
            ]
        },
    }
]

DATABASES = {"default": parse_database_url(CONFIG.database_url, CONFIG.data_dir)}
NEVER_S = 100 * 365 * 24 * 3600
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if CONFIG.redis_url:
    CHANNEL_LAYERS: dict[str, Any] = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                # Pools built from host settings have no timeouts of their own.
                "hosts": [
                    {
                        "address": CONFIG.redis_url,
                        "socket_connect_timeout": 1,
                        "socket_timeout": 2,
                        "health_check_interval": 15,
                    }
                ],
                "prefix": "speech",
            },
        }
    }
else:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.InMemoryChannelLayer",
            # Members of a group are forgotten after this, and a process that lives longer would go unheard.
            "CONFIG": {"group_expiry": NEVER_S},
        }
    }

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# The first one only says no: to who tried too many passwords for one user from one address.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = FAILURES
AXES_COOLOFF_TIME = timedelta(seconds=LOCKED_FOR_S)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = client_address
AXES_USERNAME_CALLABLE = tried_name
AXES_LOCKOUT_CALLABLE = answer_locked_out
AXES_RESET_ON_SUCCESS = True
# Tries during that time neither lengthen it nor are kept: a row would grow with each.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# When people log in is nobody's business.
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
LOGIN_URL = "login"
LOGOUT_REDIRECT_URL = "record"

LANGUAGE_CODE = "en"
# Each by its own name: who looks for a language may not read the one that is shown.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español")]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = CONFIG.is_production
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = CONFIG.time_zone
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = CONFIG.data_dir / "media"
# In production the manifest's hashed names are served; in development files are found where they lie.
SERVESTATIC_USE_FINDERS = not CONFIG.is_production
SERVESTATIC_AUTOREFRESH = not CONFIG.is_production
SERVESTATIC_MIMETYPES = {".webmanifest": "application/manifest+json"}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Never served as files: whether somebody may hear one is asked each time.
    "recordings": (
        {"BACKEND": CONFIG.recordings_storage, "OPTIONS": CONFIG.recordings_storage_options}
        if CONFIG.recordings_storage
        else {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {
                "location": CONFIG.data_dir / "recordings" / "kept",
                "base_url": None,
                "file_permissions_mode": 0o600,
                "directory_permissions_mode": 0o700,
            },
        }
    ),
    "staticfiles": {
        "BACKEND": (
            "speechsite.static_files.ManifestStorage"
            if CONFIG.is_production
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# Beside our own API those of other services whose clients we take.
CORS_URLS_REGEX = rf"^({CONFIG.api_v1_str}|/v1)/"
CORS_ALLOWED_ORIGINS = CONFIG.allowed_origins
CORS_ALLOW_HEADERS = (*default_headers, "x-api-key", "x-request-id", "idempotency-key", "range")
CORS_EXPOSE_HEADERS = ("retry-after", "x-request-id", "idempotency-replayed", "content-disposition", "location")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "media-src": [SELF, "blob:"],
        "worker-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.is_production
if CONFIG.is_production:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

LOGGING = logging_config(CONFIG)
