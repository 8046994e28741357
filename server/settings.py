"""Every setting, its default and its environment variable (`DROPSLOT_` + name); nothing else reads the environment.

Durations are seconds, sizes are bytes, unless the name says otherwise.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from keys.kms import Kms
from keys.masters import MasterSettings
from keys.secret import Secret
from server.networks import parse_networks

MIB = 1024 * 1024


Policy = Literal["2025-03", "fips-2025-03", "fips-2024-05", "compat"]


class Settings(BaseSettings):
    """What an operator can set, by flag or by `DROPSLOT_...` in the environment."""

    model_config = SettingsConfigDict(env_prefix="DROPSLOT_", frozen=True, extra="ignore")

    data: Path = Field(Path("dropslot-data"), description="data directory", validate_default=True)
    database: SecretStr = Field(SecretStr(""), description="PostgreSQL's address, with its password; empty: SQLite")
    database_file: str = Field("", description="file that holds that address instead")
    master_key: SecretStr = Field(SecretStr(""), description="the master key itself, as base64 or hex")
    master_key_file: str = Field("", description="file of a secret manager that holds it")
    master_key_kms: str = Field("", description="key of AWS KMS (id, ARN or alias/...) that opens keys/master.kms")
    master_key_previous: SecretStr = Field(SecretStr(""), description="the master key of before, until all is resealed")
    master_key_previous_file: str = Field("", description="file that holds the one of before")
    kms_region: str = Field("", description="region of AWS KMS, if neither the ARN nor AWS's own settings say it")
    kms_endpoint: str = Field("", description="address of AWS KMS, if it is not the region's (FIPS, VPC)")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")

    sftp_host: str = Field("0.0.0.0", description="address the SFTP door listens on")  # noqa: S104  a server's default
    sftp_port: int = Field(2022, ge=0, le=65535, description="port of the SFTP door (0: the system chooses)")
    sftp_processes: int = Field(
        default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=64, description="SFTP processes (one per core)"
    )
    hot_path: bool = Field(True, description="use the door's own packet path; off: asyncssh's, which is slower")
    policy: Policy = Field("2025-03", description="which algorithms the door offers")
    durability: Literal["fsync", "flush"] = Field("fsync", description="CLOSE is answered after fsync, or before it")
    settle: float = Field(0.5, ge=0, le=60, description="wait for a REMOVE after CLOSE when no size was declared")

    login_grace: float = Field(30, gt=0, description="time to log in")
    auth_tries: int = Field(6, ge=1, description="keys a client may offer on one connection")
    channels: int = Field(10, ge=1, description="SFTP channels on one connection")
    sessions_per_agency: int = Field(50, ge=1, le=65536, description="connections of one agency at a time")
    sessions_per_address: int = Field(100, ge=1, le=65536, description="sessions from one address at a time")
    strangers: int = Field(200, ge=1, le=65536, description="connections that have not logged in, in all")
    strangers_per_address: int = Field(64, ge=1, le=65536, description="the same from one address")
    accepts_per_minute: float = Field(120, gt=0, description="new connections of one address, in the long run")
    accept_burst: int = Field(100, ge=1, description="new connections of one address at once")
    idle_timeout: float = Field(1800, gt=0, description="a session without a request is ended after")
    keepalive: float = Field(30, gt=0, description="a silent client is asked after; three missed answers end it")
    ban_threshold: int = Field(15, ge=1, description="points of one address that ban it")
    ban_window: float = Field(1800, gt=0, description="time within which the points must come together")
    ban_time: float = Field(1800, gt=0, description="length of the first ban")
    ban_growth: float = Field(0.5, ge=0, description="each repeated ban is longer by this part; never above a day")
    score_unknown_user: int = Field(2, ge=0, description="points for a login name that does not exist")
    score_bad_key: int = Field(1, ge=0, description="the same for one that exists, if its address is known")
    score_no_auth: int = Field(1, ge=0, description="points for leaving without trying, from the 41st time on")
    score_limit: int = Field(3, ge=0, description="points for running into a limit before logging in")
    never_ban: str = Field(
        "127.0.0.0/8 ::1/128", description="networks without bans, accept rate and sessions per address (CIDR)"
    )
    proxy_networks: str = Field("", description="load balancers that must send PROXY protocol v2 (CIDR); empty: none")
    banner: str = Field("", max_length=4096, description="text shown before login; \\n is a new line, @FILE a file")
    window: int = Field(16 * MIB, ge=MIB, le=1024 * MIB, description="SSH receive window of a channel, bytes")

    workers: int = Field(1, ge=1, le=64, description="ingest workers")
    sweep_every: float = Field(3600, gt=0, description="time between two sweeps")
    quiet_time: float = Field(60, ge=0, description="an unannounced file must be unchanged for")
    export_check: float = Field(600, gt=0, le=30 * 86400, description="time between looks after an export's file")
    export_days: float = Field(90, gt=0, le=36500, description="days after which an export's file is deleted")
    sync_settle: float = Field(5, ge=0, le=300, description="time between two looks at a file on another server")
    sync_downloads: int = Field(8, ge=1, le=64, description="files that are brought from other servers at once")
    sync_log_days: int = Field(90, ge=1, le=3650, description="days that the runs of Auto-Sync are remembered")
    delete_delay: float = Field(300, ge=0, description="a file that is to be deleted once it was processed stays for")
    drain: float = Field(20, ge=0, description="grace for running uploads when stopping")
    region: str = Field("US", min_length=2, max_length=2, description="country of phone numbers without a prefix")
    file_limit: int = Field(4096 * MIB, ge=1, description="largest file that is received and ingested, bytes")

    @field_validator("never_ban", "proxy_networks")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        region = value.upper()
        if region == "US":
            return region
        from phonenumbers import SUPPORTED_REGIONS  # slow to import: most commands read no numbers

        if region not in SUPPORTED_REGIONS:
            raise ValueError(f"'{value}' is no country with phone numbers. Write its two letters, such as US.")
        return region

    @field_validator("data")
    @classmethod
    def _settle_data(cls, value: Path) -> Path:
        # Files are opened from descriptors of their folders, where a relative path would mean another place.
        return value.resolve() if ".." in value.parts else value.absolute()

    @property
    def database_url(self) -> str:
        """The database's address, which may hold a password: it must not be shown.

        Raises OSError if the file that holds it cannot be read, ValueError if it holds no text.
        """
        given = self.database.get_secret_value().strip()
        if self.database_file and not given:
            given = Path(self.database_file).read_text().strip()
        return given or f"sqlite:///{self.data / 'dropslot.db'}"

    @property
    def masters(self) -> MasterSettings:
        """Where the master key comes from."""
        kms = Kms(self.master_key_kms, self.kms_region, self.kms_endpoint) if self.master_key_kms else None
        text, previous = (
            Secret(given.get_secret_value().encode()) if given.get_secret_value() else None
            for given in (self.master_key, self.master_key_previous)
        )
        return MasterSettings(text, self.master_key_file, kms, previous, self.master_key_previous_file)

    @property
    def spool(self) -> Path:
        """Directory of files that are whole and not yet ingested; the truth until the database has them."""
        return self.data / "spool"

    @property
    def sync(self) -> Path:
        """Directory of files that are being brought from other servers, named by the ids of their arrivals."""
        return self.data / "sync"

    @property
    def run(self) -> Path:
        """Directory of what running processes share; nothing in it is missed after it was deleted."""
        return self.data / "run"

    @property
    def defence(self) -> Path:
        """The small database of failed logins and bans."""
        return self.run / "defence.db"

    @property
    def archive(self) -> Path:
        """Directory of originals, named by their sha256."""
        return self.data / "archive"

    @property
    def staging(self) -> Path:
        """Directory of exports that are being made, or whose file may have to be put back."""
        return self.data / "exports"

    @property
    def agencies(self) -> Path:
        """Directory that holds one home per agency, named by its slug."""
        return self.data / "agencies"

    def home(self, slug: str) -> Path:
        """What the agency `slug` sees as `/`."""
        return self.agencies / slug


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with these settings in it, for a child process that is to have the same.

    A working directory may hold folders named like our packages, so no child looks for modules there.
    """
    given = {f"DROPSLOT_{name.upper()}": _plain(value) for name, value in settings.model_dump().items()}
    return {**os.environ, **given, "PYTHONSAFEPATH": "1"}


def _plain(value: object) -> str:
    """What a child reads as the same value; the environment is shown to nobody but our own user."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
