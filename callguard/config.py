"""Settings: one file, drop-ins beside it, environment, credentials; read, checked and traced to where each came from.

Order of what wins: command line, environment (``CALLGUARD_SECTION__KEY``), systemd credentials (secrets only),
``conf.d/*.toml`` (later file name wins), ``callguard.toml``, default.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from callguard.model.errors import SettingsError
from callguard.shipped import shipped

DEFAULT_FILE = Path("/etc/callguard/callguard.toml")
FILE_VARIABLE = "CALLGUARD_SETTINGS"
ENV_PREFIX = "CALLGUARD_"

Port = int


class Section(BaseModel):
    """One table of the file. Frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class AsteriskSettings(Section):
    """The manager interface of the PBX.

    tls_ca: file of certificates to trust with ``tls``; None for the system's.
    timeout_s: how long one action may take.
    ping_s: how often the link is asked whether it lives.
    max_refusals: after so many refused logins the daemon stops trying (fail2ban would ban it otherwise).
    """

    host: str = "127.0.0.1"
    port: Port = Field(default=5038, ge=1, le=65535)
    username: str = "callguard"
    secret: SecretStr = SecretStr("")
    tls: bool = False
    tls_ca: Path | None = None
    timeout_s: float = Field(default=5.0, gt=0, le=60)
    ping_s: float = Field(default=10.0, ge=1, le=300)
    max_refusals: int = Field(default=3, ge=1, le=20)


class TapSettings(Section):
    """Where Asterisk connects to with the sound of a leg (AudioSocket).

    advertise: ``host:port`` that Asterisk is told, "" for ``host:port`` of this section.
    processes: more than one for more than about 500 legs at once: each reads in a process of its own, the second on
        ``port`` + 1 (and the port of ``advertise`` + 1), and so on.
    """

    host: str = "127.0.0.1"
    port: Port = Field(default=9092, ge=0, le=65535)
    advertise: str = ""
    processes: int = Field(default=1, ge=1, le=32)

    @field_validator("advertise")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if value and not re.fullmatch(r"\S+:\d{1,5}", value):
            raise ValueError("should be host:port, or empty")
        return value

    @model_validator(mode="after")
    def _ports(self) -> TapSettings:
        if self.processes > 1 and self.advertise and not self.port:
            raise ValueError("several processes behind advertise need a port: taps.port = 0 takes any")
        if self.port + self.processes > 65536:
            raise ValueError("so many processes need as many ports from taps.port on; take a lower port")
        return self

    @property
    def address(self) -> str:
        """``host:port`` as told to Asterisk."""
        return self.advertise or f"{self.host}:{self.port}"

    @property
    def addresses(self) -> list[str]:
        """The same for each process."""
        host, _, first = self.address.rpartition(":")
        return [f"{host}:{int(first) + number}" for number in range(self.processes)]


class BusSettings(Section):
    """Redis or Valkey. url "" starts an embedded Valkey on a unix socket in ``socket_dir``."""

    url: str = ""
    socket_dir: Path = Path("/run/callguard")
    data_dir: Path = Path("/var/lib/callguard/bus")
    maxmemory_mb: int = Field(default=256, ge=32)

    @field_validator("url")
    @classmethod
    def _scheme(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("redis", "rediss", "unix", "redis+unix"):
            raise ValueError("should begin with redis://, rediss:// or unix://, or be empty")
        return value

    @property
    def embedded(self) -> bool:
        """True where callguard starts its own Valkey."""
        return not self.url


class StoreSettings(Section):
    """Cases and their sound.

    url: an SQLAlchemy address; SQLite by default, ``postgresql+psycopg://...`` for more than one desk server.
    segments: folder of the kept sound.
    key_file: key that encrypts sound at rest, None for plain files.
    archive: where finished sound moves to, ``s3://bucket/prefix`` or ``file:///folder``; "" leaves it in segments.
    purge_hours: how often the daemon deletes cases whose time is over; 0 leaves that to ``callguard case purge``.
    min_free_mb: less free space than this is reported, and nothing but flagged sound is written.
    """

    url: str = "sqlite:////var/lib/callguard/callguard.db"
    segments: Path = Path("/var/lib/callguard/segments")
    key_file: Path | None = None
    archive: str = ""
    purge_hours: float = Field(default=24, ge=0, le=720)
    min_free_mb: int = Field(default=512, ge=0)


class SpeechSettings(Section):
    """Hearing.

    model: name of a faster-whisper model, or a folder that holds one.
    english_model: another one for English calls, "" for the same.
    last_words_model: a better one for a caller's last words, used while no other hearing waits, "" for the same.
    model_dir: where models are looked for by name first, and unpacked to.
    workers: recognizer processes beside the daemon; 0 where only other machines hear.
    threads: per worker.
    languages: what callers may speak; the first is assumed where a call does not say.
    step_ms: sound between two hearings of a growing utterance; lengthened under load.
    deadline_ms: a hearing later than this after it was asked for is dropped.
    """

    enabled: bool = True
    model: str = "base"
    english_model: str = ""
    last_words_model: str = ""
    model_dir: Path = Path("/var/lib/callguard/models")
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    compute_type: str = "int8"
    workers: int = Field(default=1, ge=0, le=64)
    threads: int = Field(default=1, ge=1, le=64)
    languages: tuple[Literal["en", "ja"], ...] = ("en", "ja")
    step_ms: int = Field(default=1000, ge=200, le=10000)
    deadline_ms: int = Field(default=4000, ge=500, le=60000)
    vad_mode: int = Field(default=2, ge=0, le=3)

    def with_model(self, model: str) -> SpeechSettings:
        """These settings with this model alone for everything; "" changes nothing."""
        alone = {"model": model, "english_model": "", "last_words_model": ""}
        return self.model_copy(update=alone) if model else self

    @field_validator("languages")
    @classmethod
    def _some(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("should name at least one language")
        return value


class OpinionSettings(Section):
    """A second opinion on findings, to lower or explain them for people. Off by default; nothing acts on it.

    url: of an OpenAI-compatible service on your own premises, e.g. ``http://127.0.0.1:8000/v1``; "" for none.
    model: its model. key: its key, best as a systemd credential.
    classifier: a function of your own as ``package.module:function``, (text, language) to 0..1; "" for none.
    timeout_s: later answers change nothing.
    """

    url: str = ""
    model: str = ""
    key: SecretStr = SecretStr("")
    classifier: str = ""
    timeout_s: float = Field(default=8.0, gt=0, le=60)

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("should begin with http:// or https://, or be empty")
        return value


class PolicySettings(Section):
    """Which policy guards which queue."""

    file: Path = Field(default_factory=lambda: shipped("policies/en.toml"))
    queues: dict[str, Path] = Field(default_factory=dict)

    def for_queue(self, queue: str) -> Path:
        """The policy file of this queue; the general one where it has none of its own."""
        return self.queues.get(queue, self.file)


class KeySettings(Section):
    """Agents' keys.

    spool_dir: where the key script leaves presses when the bus is away.
    deadline_ms: how long the key script may hold the agent's leg in all.
    """

    spool_dir: Path = Path("/var/spool/callguard")
    deadline_ms: int = Field(default=300, ge=50, le=2000)


class PromptSettings(Section):
    """Announcements.

    dir: folder of texts and sounds, one folder per language.
    sounds_dir: Asterisk's folder of sounds, where ``callguard prompts install`` puts them.
    """

    dir: Path = Field(default_factory=lambda: shipped("prompts"))
    sounds_dir: Path = Path("/usr/share/asterisk/sounds")


class WebSettings(Section):
    """The desk.

    public_url: the address people type, "" for ``http://host:port``. With https cookies become secure-only.
    session_hours: how long a sign-in lasts.
    trusted_proxies: addresses whose ``X-Forwarded-For`` is believed.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = Field(default=8470, ge=0, le=65535)
    public_url: str = ""
    session_hours: float = Field(default=12, gt=0, le=168)
    language: Literal["en", "ja"] = "en"
    trusted_proxies: tuple[str, ...] = ()

    @field_validator("public_url")
    @classmethod
    def _http(cls, value: str) -> str:
        if value and urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("should begin with https:// or http://, or be empty")
        return value.rstrip("/")

    @property
    def address(self) -> str:
        """What people type."""
        return self.public_url or f"http://{self.host}:{self.port}"


class OidcSettings(Section):
    """Signing in through the house's identity provider (OpenID Connect); off while ``issuer`` is empty.

    issuer: its address, exactly as it calls itself. client_id, secret: as it knows this desk; the secret better as a
    systemd credential. claim: the claim of its token that is the account's name here. label: what the button says.
    """

    issuer: str = ""
    client_id: str = ""
    secret: SecretStr = SecretStr("")
    claim: str = "preferred_username"
    label: str = ""

    @field_validator("issuer")
    @classmethod
    def _safe(cls, value: str) -> str:
        parts = urlsplit(value)
        here = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if value and not (parts.scheme == "https" or (parts.scheme == "http" and here)):
            raise ValueError("should begin with https:// (http:// only on this machine), or be empty")
        return value


class LogSettings(Section):
    """Logs. ``personal`` lets numbers, names and words into the log; off outside of a test bench."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    personal: bool = False


class MetricSettings(Section):
    """Prometheus. Names are in ``callguard/observe/metrics.py``."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = Field(default=9471, ge=0, le=65535)


class OriginKind(StrEnum):
    """Where a value came from."""

    COMMAND_LINE = "command line"
    ENVIRONMENT = "environment"
    CREDENTIAL = "credential"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one setting came from. name: variable, credential or file; line: in that file, 0 where it has none."""

    kind: OriginKind
    name: str = ""
    line: int = 0

    def __str__(self) -> str:
        if self.kind is OriginKind.DEFAULT:
            return "default"
        place = f"{self.name}:{self.line}" if self.line else self.name
        return place or str(self.kind)


class Settings(BaseSettings):
    """Everything an admin can set, read and checked. Frozen: a reload makes a new one."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    asterisk: AsteriskSettings = Field(default_factory=AsteriskSettings)
    taps: TapSettings = Field(default_factory=TapSettings)
    bus: BusSettings = Field(default_factory=BusSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    speech: SpeechSettings = Field(default_factory=SpeechSettings)
    second_opinion: OpinionSettings = Field(default_factory=OpinionSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    prompts: PromptSettings = Field(default_factory=PromptSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    metrics: MetricSettings = Field(default_factory=MetricSettings)

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)
    _files: tuple[Path, ...] = PrivateAttr(default=())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # load_settings has merged every source already, with its origins
        return (init_settings,)

    def origin(self, key: str) -> Origin:
        """Where ``section.key`` came from."""
        return self._origins.get(key, Origin(kind=OriginKind.DEFAULT))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were read, in order."""
        return self._files


_Layer = tuple[dict[str, Any], dict[str, Origin]]
"""Nested values as pydantic wants them, and the origin of each dotted key in them."""


def load_settings(path: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read and check all settings.

    path: the main file; None for ``$CALLGUARD_SETTINGS``, else ``/etc/callguard/callguard.toml`` where it exists.
    overrides: dotted key -> value from the command line.

    Raises SettingsError naming file, line and key of everything that is wrong.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    files = _files(path)
    layers = [_from_file(file) for file in files]
    layers += [_from_credentials(), _from_environment(), _from_overrides(overrides or {})]
    for layer, traced in layers:
        _merge(values, layer)
        origins.update(traced)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _explained(error, origins) from None
    settings._origins.update(origins)
    settings._files = files
    return settings


def every_key() -> tuple[str, ...]:
    """All dotted keys, in the order of the file."""
    return tuple(f"{name}.{key}" for name, section in sections() for key in section.model_fields)


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Name and class of every section, in order."""
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type) and issubclass(field.annotation, Section)
        yield name, field.annotation


def shown(settings: Settings) -> dict[str, object]:
    """Dotted key -> value as may be shown: secrets and passwords in addresses are masked."""
    return {
        f"{name}.{key}": _masked(getattr(getattr(settings, name), key))
        for name, section in sections()
        for key in section.model_fields
    }


def _masked(value: object) -> object:
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else ""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        return {key: _masked(part) for key, part in value.items()}
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        if parts.password:
            host = parts.netloc.rpartition("@")[2]
            return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:********@{host}"))
    return list(value) if isinstance(value, tuple) else value


def _files(path: Path | None) -> tuple[Path, ...]:
    named = path or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    main = named or DEFAULT_FILE
    if named and not named.is_file():
        raise SettingsError(
            "there is no such file",
            where=str(named),
            code="settings-missing",
            hint="name another with --settings, or copy the shipped callguard.toml there",
        )
    drop_ins = sorted((main.parent / "conf.d").glob("*.toml"))
    return (*((main,) if main.is_file() else ()), *drop_ins)


def _from_file(file: Path) -> _Layer:
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        place = f"{file}:{found.group(1)}" if found else str(file)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        hint = 'texts stand in "quotes", true and false are small letters'
        raise SettingsError(f"not TOML: {reason}", where=place, code="settings-not-toml", hint=hint) from None
    except UnicodeDecodeError:
        raise SettingsError("not UTF-8 text", where=str(file), code="settings-not-toml") from None
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=str(file), code="settings-missing") from None
    lines = key_lines(text)
    origins: dict[str, Origin] = {}
    for key in _dotted(values):
        line = lines.get(key) or lines.get(key.rpartition(".")[0]) or 0
        origins[key] = Origin(kind=OriginKind.FILE, name=str(file), line=line)
    for name, line in lines.items():
        origins.setdefault(name, Origin(kind=OriginKind.FILE, name=str(file), line=line))
    return _anchored(values, file.parent), origins


_TABLE = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*=""")


def key_lines(text: str) -> dict[str, int]:
    """Dotted key -> line (from 1) in this TOML text. Tables stand under their own name."""
    lines: dict[str, int] = {}
    table, inside = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        if inside:
            inside = "" if inside in line else inside
            continue
        if found := _TABLE.match(line):
            table = _plain(found.group(1))
            lines.setdefault(table, number)
        elif found := _KEY.match(line):
            key = _plain(found.group(1))
            lines.setdefault(f"{table}.{key}" if table else key, number)
            inside = next((quote for quote in ('"""', "'''") if line.count(quote) == 1), "")
    return lines


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


def _path_keys() -> frozenset[str]:
    return frozenset(
        f"{name}.{key}"
        for name, section in sections()
        for key, field in section.model_fields.items()
        if field.annotation is Path or Path in get_args(field.annotation)
    )


def _anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths in a file are meant from the file's own folder."""
    for dotted in _path_keys():
        section, _, key = dotted.partition(".")
        table = values.get(section)
        if isinstance(table, dict) and key in table:
            table[key] = _from(folder, table[key])
    return values


def _from(folder: Path, value: Any) -> Any:
    if isinstance(value, str):
        return str(folder / value) if value else value
    if isinstance(value, dict):
        return {key: _from(folder, part) for key, part in value.items()}
    return value


def _from_environment() -> _Layer:
    names = {name for name, _ in sections()}
    for variable in os.environ:
        section, nested, key = variable.upper().removeprefix(ENV_PREFIX).partition("__")
        if variable.upper().startswith(ENV_PREFIX) and nested and section.lower() not in names:
            variables = [f"{ENV_PREFIX}{name.upper()}__{key}" for name in sorted(names)]
            raise SettingsError(
                f"there is no section {section.lower()}",
                where=f"environment: {variable}",
                code="settings-unknown-key",
                hint=_nearest(variable.upper(), variables),
            )
    try:
        values = EnvSettingsSource(Settings)()
    except ValueError as error:
        raise SettingsError(str(error), where="environment", hint="lists are JSON, e.g. '[\"en\"]'") from None
    values = {section: table for section, table in values.items() if table or isinstance(table, dict)}
    origins = {
        key: Origin(kind=OriginKind.ENVIRONMENT, name=ENV_PREFIX + key.upper().replace(".", "__"))
        for key in _dotted(values)
    }
    return values, origins


def _from_credentials() -> _Layer:
    """Files named ``section.key`` in systemd's credentials folder, for secret settings and addresses."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for key in every_key() if folder else ():
        file = Path(folder or "") / key
        if file.is_file():
            _put(values, key, file.read_text(encoding="utf-8").rstrip("\r\n"))
            origins[key] = Origin(kind=OriginKind.CREDENTIAL, name=key)
    return values, origins


def _from_overrides(overrides: Mapping[str, Any]) -> _Layer:
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        _put(values, key, value)
    return values, {key: Origin(kind=OriginKind.COMMAND_LINE, name="command line") for key in overrides}


def _put(values: dict[str, Any], dotted: str, value: Any) -> None:
    section, _, key = dotted.partition(".")
    values.setdefault(section, {})[key] = value


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")


_SAID = {
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "string_type": 'should be a text in "quotes"',
    "path_type": 'should be a path in "quotes"',
    "tuple_type": "should be a list in [brackets]",
    "dict_type": "should be a table",
    "model_type": "should be a [table]",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "literal_error": "should be one of {expected}",
}


def _explained(error: ValidationError, origins: Mapping[str, Origin]) -> SettingsError:
    texts: list[tuple[str, str, str, str]] = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        origin = origins.get(key) or origins.get(".".join(str(part) for part in fault["loc"][:2]))
        where = f"{origin}: {key}" if origin else key
        kind = fault["type"]
        if kind == "extra_forbidden":
            hint = _nearest(key, (*every_key(), *(name for name, _ in sections())))
            texts.append((where, f"there is no setting {key}", "settings-unknown-key", hint))
            continue
        said = _SAID.get(kind, "").format(**fault.get("ctx", {}))
        said = said or fault["msg"].removeprefix("Value error, ")
        secret = key == "asterisk.secret" or "://" in str(fault["input"])
        given = "" if secret else f", not {fault['input']!r}"
        texts.append((where, f"{said}{given}", "settings-wrong", ""))
    where, text, code, hint = texts[0]
    others = "".join(f"\n{other}: {said}" + (f" ({tip})" if tip else "") for other, said, _, tip in texts[1:])
    return SettingsError(text + others, where=where, code=code, hint=hint)


def _nearest(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "callguard config show lists every setting"
