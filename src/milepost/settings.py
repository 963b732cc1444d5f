"""Every setting, typed; the only reader of the environment (prefix ``MILEPOST_``)."""

import difflib
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "MILEPOST_"
FOR_TESTS = ("MILEPOST_FAILPOINT", "MILEPOST_TEST_")


def default_state_dir() -> Path:
    """``/var/lib/milepost`` as root, else ``$XDG_STATE_HOME/milepost`` (``~/.local/state``)."""
    if os.geteuid() == 0:
        return Path("/var/lib/milepost")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "milepost"


class Settings(BaseSettings):
    """Names, meanings and defaults; README's table is checked against this class by a test.

    Durations are seconds unless the name says otherwise; sizes are bytes.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    # Where things are
    state_dir: Path = Field(default_factory=default_state_dir)
    database_url: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: str = ""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: str = ""

    # What carriers' codes mean here
    mappings: Path | None = None

    # Secrets
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None

    # Processes
    api_processes: int = Field(default=1, ge=1)
    worker_processes: int = Field(default=1, ge=1)
    docs: bool = True

    # Instruments
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    access_log: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    otlp_endpoint: str = Field(
        default="",
        validation_alias=AliasChoices("MILEPOST_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    )

    # The door for agents
    api_url: str = ""
    api_key: SecretStr | None = None
    mcp_host: str = "127.0.0.1"
    mcp_port: int = Field(default=8010, ge=0, le=65535)
    mcp_hosts: str = ""

    # Fixed limits of the API (bytes, counts, seconds)
    max_header_bytes: int = 32 * 1024
    max_header_fields: int = 100
    max_url_bytes: int = 8 * 1024
    max_body_bytes: int = 1024 * 1024
    max_json_depth: int = 32
    max_object_keys: int = 1000
    max_string_bytes: int = 64 * 1024
    header_seconds: float = 10
    body_seconds: float = 30
    request_seconds: float = 15
    max_batch_bytes: int = 32 * 1024 * 1024
    batch_seconds: float = 120

    # Limits towards PostgreSQL and carriers
    statement_seconds_api: float = 5
    statement_seconds_jobs: float = 30
    lock_seconds: float = 3
    idle_in_transaction_seconds: float = 30
    connect_seconds: float = 5
    carrier_seconds: float = 20
    max_carrier_answer_bytes: int = 1024 * 1024

    # Calls to addresses that customers give
    egress_allow: str = ""
    egress_ports: str = "80,443,8080,8443"
    egress_seconds: float = Field(default=15, gt=0)
    egress_idle_seconds: float = Field(default=15, gt=0)
    max_egress_answer_bytes: int = Field(default=64 * 1024, ge=1024)

    # Telling subscribers: pauses between attempts (seconds, with commas between), and how long one
    # that fails is left alone (seconds) and borne at all (days)
    classic_retry_seconds: str = "300,600,1200,2400,3600,3600,3600,3600,3600,3600"
    event_retry_seconds: str = "30,120,600,3600,21600"
    subscriber_rest_seconds: float = Field(default=30, gt=0)
    subscriber_longest_rest_seconds: float = Field(default=300, gt=0)
    subscriber_give_up_days: float = Field(default=5, gt=0, le=365)

    # Letters to recipients: the operator's mail server, who writes, how many at most (0: no limit)
    smtp_url: SecretStr | None = None
    smtp_tls: Literal["required", "when_offered", "never"] = "required"
    mail_from: str = ""
    mail_recipient_daily: int = Field(default=10, ge=0)
    mail_account_hourly: int = Field(default=1000, ge=0)

    # Readers of the event feed that wait or are streamed to: in one API process, of one account
    max_event_readers: int = Field(default=500, ge=0)
    max_event_readers_per_account: int = Field(default=20, ge=0)

    # Keeping
    reregister_after_days: int = 120
    idempotency_hours: int = 48
    early_scan_days: int = 30
    keep_parcels_days: float = Field(default=365, ge=0)
    keep_raw_payloads_days: float = Field(default=90, ge=0)
    keep_pushes_days: float = Field(default=30, ge=0)
    keep_events_days: float = Field(default=30, ge=0)
    keep_timings_days: float = Field(default=1095, ge=0)
    keep_audit_days: float = Field(default=730, ge=0)

    max_raw_payload_bytes: int = Field(default=256 * 1024, ge=0)

    # What carriers push (bytes that may wait to be told, for each account; 0 is no limit)
    max_waiting_push_bytes: int = Field(default=256 * 1024 * 1024, ge=0)

    # Carriers' files
    drop_folder: Path | None = None
    drop_look_seconds: float = Field(default=10, ge=0.1)
    drop_settle_seconds: float = Field(default=5, ge=0)
    max_feed_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    keep_feed_files_days: float = Field(default=7, ge=0)

    # How long is too long, where a lane's own past doesn't say (days)
    handover_delay_days: float = Field(default=3, gt=0, le=3650)
    dropoff_expiration_days: float = Field(default=21, gt=0, le=3650)
    sorting_delay_days: float = Field(default=3, gt=0, le=3650)
    off_radar_days: float = Field(default=7, gt=0, le=3650)
    pup_expiration_days: float = Field(default=7, gt=0, le=3650)
    delivery_delay_days: float = Field(default=10, gt=0, le=3650)

    # When we ask (seconds, days)
    check_before_first_scan: float = 6 * 3600
    check_in_transit: float = 2 * 3600
    check_in_delivery: float = 45 * 60
    check_after_end: float = 24 * 3600
    check_longest: float = 12 * 3600
    stop_without_scan_days: float = 30
    stop_after_last_scan_days: float = 60
    # Renewed while a check lasts; what a dead or frozen worker holds is taken over after it.
    lease_seconds: float = Field(default=60, ge=1)


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process, read once from the environment."""
    return Settings()


def unknown_variables() -> dict[str, str]:
    """Variables named like settings that are none, each with the one that was meant, or ``""``."""
    known = [name.upper() for name in Settings.model_fields]
    found = {}
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if name in (variable.upper(), *known) or variable.startswith(FOR_TESTS):
            continue
        nearest = difflib.get_close_matches(name, known, n=1)
        found[variable] = f"{PREFIX}{nearest[0]}" if nearest else ""
    return found


def environment_for(settings: Settings) -> dict[str, str]:
    """The environment in which another process reads these very settings."""
    variables = {
        f"{PREFIX}{name.upper()}": getattr(settings, name) for name in settings.model_fields_set
    }
    return os.environ | {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in variables.items()
        if value is not None
    }


def hand_on(settings: Settings) -> None:
    """Makes ``load`` return these settings in this process and those it starts."""
    os.environ.update(environment_for(settings))
    load.cache_clear()
