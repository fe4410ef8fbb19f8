"""The node's configuration: one YAML file, every key also by environment.

    TONGBU_RTC__UDP_PORT=7900    overrides    rtc: {udp_port: 7900}

A wrong key or value becomes a `ConfigError` of one sentence that names it.
"""

import contextlib
import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.functional_validators import AfterValidator, BeforeValidator, PlainValidator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from signaling.errors import ConfigError
from signaling.feeds import address

DEV_KEY = "devkey"
DEV_SECRET = "devsecret-devsecret-devsecret-dev"

MAX_SHARDS = 64

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
VideoCodec = Literal["H264", "VP9", "VP8", "AV1"]
Secret = Annotated[str, StringConstraints(min_length=32)]


def _address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise ValueError("is not an IPv4 address") from None


def _shards(value: object) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError):
            if 1 <= int(value) <= MAX_SHARDS:
                return int(value)
    raise ValueError(f"is neither auto nor a number from 1 to {MAX_SHARDS}")


def _optional_port(value: object) -> object:
    if value is True:
        raise ValueError("is neither a port nor off")
    return None if value is False or value == "off" else value  # YAML reads a bare off as false


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _media_url(value: str) -> str:
    return address.parse(value, (*address.PULLED, "file")).text


Address = Annotated[str, AfterValidator(_address)]
MediaUrl = Annotated[str, AfterValidator(_media_url)]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(address.pattern)], ...], BeforeValidator(_several)
]
LessonName = Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+")]
IceUrl = Annotated[str, StringConstraints(pattern=r"^(stun|stuns|turn|turns):[^\s<>\"]+$")]
Quotable = Annotated[str, StringConstraints(pattern=r"^[^\"\\\x00-\x1f]*$")]
"""What can stand between quotes in a header."""
StorageUrl = Annotated[str, StringConstraints(pattern=r"^(s3://[^\s/]+(/[^\s/]+)*/?)?$")]
OptionalPort = Annotated[Port | None, BeforeValidator(_optional_port)]
Shards = Annotated[int | Literal["auto"], PlainValidator(_shards)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IceServer(_Strict):
    """A STUN or TURN server that clients are told of; the words of RTCIceServer."""

    urls: Annotated[tuple[IceUrl, ...], BeforeValidator(_several), Field(min_length=1)]
    username: Quotable = ""
    credential: Quotable = ""


class RtcConfig(_Strict):
    """Media: over UDP, and over TCP for those whose network blocks it."""

    udp_port: Port = 7882
    tcp_port: OptionalPort = 7881
    shards: Shards = "auto"
    node_ip: Annotated[tuple[Address, ...], BeforeValidator(_several)] = ()
    consent_timeout: Seconds = 30.0
    video_codecs: Annotated[tuple[VideoCodec, ...], Field(min_length=1)] = (
        "H264",
        "VP9",
        "VP8",
        "AV1",
    )
    ice_servers: tuple[IceServer, ...] = ()


class LessonConfig(_Strict):
    """Rules of a lesson."""

    linger: Annotated[float, Field(ge=0, le=86400)] = 30.0
    max_schools: Annotated[int, Field(ge=1)] = 500


class JoinConfig(_Strict):
    """The queue of joins (see `admission.py`)."""

    at_once: Annotated[int, Field(ge=1)] = 100
    waiting: Annotated[int, Field(ge=1)] = 2_000
    waiting_per_lesson: Annotated[int, Field(ge=1)] = 1_000


class QualityConfig(_Strict):
    """What viewers may take, bits a second; 0 is no limit."""

    viewer_bitrate: Annotated[int, Field(ge=0)] = 0
    sites: dict[str, Annotated[int, Field(ge=100_000)]] = {}


class RecorderConfig(_Strict):
    """Recording (see `disk.py`); bytes, of which the units are those of people who buy disks."""

    enabled: bool = True
    video_stops_below: Annotated[int, Field(ge=0)] = 1_000_000_000
    sound_stops_below: Annotated[int, Field(ge=0)] = 300_000_000
    warn_hours: Annotated[float, Field(ge=0)] = 12.0

    @model_validator(mode="after")
    def _video_yields_first(self) -> Self:
        if self.sound_stops_below > self.video_stops_below:
            raise ValueError("sound_stops_below is above video_stops_below: video yields first")
        return self


class RetentionRule(_Strict):
    """Which lessons are deleted when (see `recorder.archive.policy.Rule`)."""

    days: Annotated[float, Field(gt=0)] | None = None
    school: str = ""
    subject: str = ""
    state: Literal["", "complete", "recovered", "degraded"] = ""
    lesson: str = ""


class ArchiveConfig(_Strict):
    """What becomes of finished lessons (see `policy.Policy`), and the list of them."""

    database: str = ""
    storage: StorageUrl = ""
    endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s/]+.*)?$")] = ""
    serve: Literal["proxy", "redirect"] = "proxy"
    keep_local_days: Annotated[float, Field(ge=0)] | None = None
    copies: Annotated[int, Field(ge=1, le=2)] = 1
    retention: tuple[RetentionRule, ...] = ()


class IngestSource(_Strict):
    """A camera or a recording box that is pulled into a lesson."""

    lesson: LessonName
    url: MediaUrl
    source: Literal["camera", "slides"] = "camera"
    role: Literal["teacher", "assistant"] = "assistant"
    name: Annotated[str, StringConstraints(max_length=128)] = ""
    transport: Literal["tcp", "udp"] = "tcp"
    audio: bool | None = None
    """None: a camera's, but not that of slides."""


class IngestConfig(_Strict):
    """What is pulled from elsewhere (see `feeds/ingest.py`)."""

    allow: Hosts = ()
    sources: Annotated[tuple[IngestSource, ...], Field(max_length=32)] = ()


class PushConfig(_Strict):
    """Where lessons may be sent (see `feeds/push.py`)."""

    allow: Hosts = ()


class WebhookConfig(_Strict):
    """Whom the node tells what happens (see `webhooks.py`)."""

    urls: tuple[Url, ...] = ()
    api_key: str = ""


class LogConfig(_Strict):
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class NodeConfig(BaseSettings):
    """Everything an operator may set (see tongbu.yaml for what each key means)."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="TONGBU_", env_nested_delimiter="__"
    )

    port: Port = 7880
    bind: Address = "0.0.0.0"
    data_dir: Path = Path("data")
    keys: dict[str, Secret] = {}
    rtc: RtcConfig = RtcConfig()
    lesson: LessonConfig = LessonConfig()
    join: JoinConfig = JoinConfig()
    quality: QualityConfig = QualityConfig()
    recorder: RecorderConfig = RecorderConfig()
    archive: ArchiveConfig = ArchiveConfig()
    ingest: IngestConfig = IngestConfig()
    push: PushConfig = PushConfig()
    webhook: WebhookConfig = WebhookConfig()
    log: LogConfig = LogConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file (which comes as the constructor's arguments)."""
        return env_settings, init_settings


def load(path: Path | None, *, dev: bool = False) -> NodeConfig:
    """Read the file, if one is named, under what the environment says. Raises ConfigError.

    `dev` adds a well-known key and keeps HTTP on this machine.
    """
    values = _read(path) if path is not None else {}
    try:
        config = NodeConfig(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, path)) from None
    except SettingsError as error:
        raise ConfigError(f"The environment is not usable: {error}.") from None
    if dev:
        keys = {**config.keys, DEV_KEY: DEV_SECRET}
        config = config.model_copy(update={"keys": keys, "bind": "127.0.0.1"})
    if config.webhook.api_key and config.webhook.api_key not in config.keys:
        raise ConfigError("webhook.api_key names none of the keys: use the name of one of them.")
    if not config.keys:
        raise ConfigError(
            "No API key is configured: add `keys: {name: secret}` with a secret of at least "
            "32 characters to the configuration, or try `tongbu serve --dev`."
        )
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where is not None else ""
        raise ConfigError(f"{path} is not valid YAML{line}.") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{path} is not a configuration: it must be a mapping of keys.")
    return values


def _sentence(error: ValidationError, path: Path | None) -> str:
    """The first complaint, in one sentence."""
    first = error.errors(include_url=False)[0]
    location = first["loc"]
    name = ".".join(map(str, location))
    source = f"{path} or the environment" if path is not None else "The environment"
    if first["type"] == "extra_forbidden":
        allowed = ", ".join(_model_at(location[:-1]).model_fields)
        where = f" under {'.'.join(map(str, location[:-1]))}" if len(location) > 1 else ""
        return f"{source} has an unknown key {name}; allowed{where} are: {allowed}."
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if location[0] in ("keys", "ingest") or location[-1] == "database":  # URLs hold passwords
        return f"{source} has a bad value for {name}: it {problem}."
    return f"{source} has a bad value for {name}: {first['input']!r} {problem}."


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model whose field the location names; every section of ours is a model."""
    model: type[BaseModel] = NodeConfig
    for key in location:
        if isinstance(key, int):  # one of several: they are all of the model before
            continue
        annotation: object = model.model_fields[key].annotation
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return model
