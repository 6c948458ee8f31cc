from __future__ import annotations

import re
from pathlib import Path

import pytest

import otel_embedder
from otel_embedder.errors import SettingsError
from otel_embedder.settings import OTLP_VARIABLES, Settings, load_settings
from tests.support.certificates import Authority

SECRET = "s3cret"  # noqa: S105 - for tests
PACKAGE = Path(otel_embedder.__file__).parent

# What Kubernetes sets in every pod beside a Service named otel-embedder.
# Source: kubernetes.io, "Service", "Environment variables".
SERVICE_LINKS = (
    "OTEL_EMBEDDER_SERVICE_HOST",
    "OTEL_EMBEDDER_SERVICE_PORT",
    "OTEL_EMBEDDER_SERVICE_PORT_OTLP",
    "OTEL_EMBEDDER_PORT",
    "OTEL_EMBEDDER_PORT_4327_TCP",
    "OTEL_EMBEDDER_PORT_4327_TCP_ADDR",
    "OTEL_EMBEDDER_PORT_4327_TCP_PORT",
    "OTEL_EMBEDDER_PORT_4327_TCP_PROTO",
)

VARIABLES = {
    "otlp": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "traces": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "variable": "OTEL_EMBEDDER_NEXT_HOP",
}


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def problems(**flags: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    return caught.value.problems


def problem(**flags: object) -> str:
    [only] = problems(**flags)
    return only


def test_nothing_need_be_set() -> None:
    settings = load_settings({})

    assert settings.listen == "127.0.0.1:4327"
    assert settings.next_hop == "http://127.0.0.1:4337"
    assert settings.engine == "ctranslate2"
    assert settings.model == "all-MiniLM-L6-v2"
    assert settings.preload
    assert settings.cache_size == 1000
    assert settings.encoding == "array"
    assert settings.on_failure == "fallback"
    assert settings.embed_timeout == 3
    assert settings.max_receive_bytes == 64 * 1024 * 1024
    assert 4_000_000 < settings.max_send_bytes < 4 * 1024 * 1024
    assert settings.attribute_prefix == "embedding."
    assert not settings.attach_text
    assert not settings.exact_durations
    assert (settings.log_format, settings.log_level) == ("console", "info")


@pytest.mark.parametrize(
    ("sources", "next_hop"),
    [
        ([], "http://127.0.0.1:4337"),
        (["otlp"], "http://otlp:1"),
        (["otlp", "traces"], "http://traces:1"),
        (["otlp", "traces", "file"], "http://file:1"),
        (["otlp", "traces", "file", "variable"], "http://variable:1"),
        (["otlp", "traces", "file", "variable", "flag"], "http://flag:1"),
    ],
    ids=["default", "otlp", "otlp traces", "file", "variable", "flag"],
)
def test_the_stronger_source_wins(
    sources: list[str], next_hop: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in VARIABLES.keys() & set(sources):
        monkeypatch.setenv(VARIABLES[source], f"http://{source}:1")
    config.write_text("next_hop: http://file:1" if "file" in sources else "")
    flags = {"next_hop": "http://flag:1"} if "flag" in sources else {}

    assert load_settings({"config": config, **flags}).next_hop == next_hop


def test_the_file_may_be_named_by_a_variable(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("cache_size: 200")
    monkeypatch.setenv("OTEL_EMBEDDER_CONFIG", str(config))

    assert load_settings({}).cache_size == 200


def test_the_file_of_the_flag_goes_before_that_of_the_variable(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("cache_size: 200")
    monkeypatch.setenv("OTEL_EMBEDDER_CONFIG", "missing.yaml")

    assert load_settings({"config": config}).cache_size == 200


def test_sources_complete_one_another(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("cache_size: 200\nencoding: bytes")
    monkeypatch.setenv("OTEL_EMBEDDER_ENCODING", "base64")

    settings = load_settings({"config": config, "preload": "false"})

    assert (settings.cache_size, settings.encoding, settings.preload) == (200, "base64", False)


def test_an_empty_file_sets_nothing(config: Path) -> None:
    config.write_text("")

    assert load_settings({"config": config}).cache_size == 1000


def test_a_file_may_spell_headers_and_keys_out(config: Path) -> None:
    config.write_text(
        "next_hop_headers: {x-tenant: shop, api-key: a%20b}\nvolatile_keys: ['a.*', b]\n"
    )

    settings = load_settings({"config": config})

    assert settings.next_hop_headers == {"x-tenant": "shop", "api-key": "a%20b"}
    assert settings.volatile_keys == ("a.*", "b")


def test_the_exporters_own_variables_apply(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificate = Authority(tmp_path).file
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://backend:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,X-Tenant=%2C=")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificate))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2500")

    settings = load_settings({})

    assert settings.next_hop == "https://backend:4317"
    assert settings.next_hop_headers == {"api-key": "a b", "x-tenant": ",="}
    assert settings.next_hop_compression == "gzip"
    assert settings.next_hop_certificate == certificate
    assert settings.next_hop_timeout == 2.5


@pytest.mark.parametrize("signal", ["", "TRACES_"])
def test_the_exporters_own_variables_name_the_client_certificate(
    signal: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Authority(tmp_path).issue("ours")
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}CLIENT_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{signal}CLIENT_KEY", str(pair.key))

    settings = load_settings({})

    assert settings.next_hop_client_certificate == pair.certificate
    assert settings.next_hop_client_key == pair.key


@pytest.mark.parametrize(
    ("variables", "next_hop"),
    [
        ({"ENDPOINT": "backend:4317"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "false"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "1"}, "https://backend:4317"),
        ({"ENDPOINT": "backend:4317", "INSECURE": "True"}, "http://backend:4317"),
        ({"TRACES_ENDPOINT": "backend:4317", "INSECURE": "true"}, "http://backend:4317"),
        (
            {"ENDPOINT": "backend:4317", "INSECURE": "true", "TRACES_INSECURE": "false"},
            "https://backend:4317",
        ),
        ({"ENDPOINT": "http://backend:4317", "INSECURE": "false"}, "http://backend:4317"),
        ({"ENDPOINT": "https://backend:4317", "INSECURE": "true"}, "https://backend:4317"),
        ({"INSECURE": "true"}, "http://127.0.0.1:4337"),
    ],
)
def test_insecure_speaks_only_where_the_endpoint_has_no_scheme(
    variables: dict[str, str], next_hop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the OpenTelemetry specification says; only "true" is true."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)

    assert load_settings({}).next_hop == next_hop


@pytest.mark.parametrize("field", OTLP_VARIABLES)
def test_an_empty_variable_of_the_exporter_says_nothing(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{OTLP_VARIABLES[field]}", "")

    assert getattr(load_settings({}), field) == Settings.model_fields[field].default


@pytest.mark.parametrize("milliseconds", ["2500", " 2500 ", "2500.0", "2.5e3"])
def test_the_exporters_timeout_is_in_milliseconds_however_it_is_spelt(
    milliseconds: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", milliseconds)

    assert load_settings({}).next_hop_timeout == 2.5


def test_a_timeout_of_the_exporter_that_is_no_number_is_a_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")

    assert problem().startswith("OTEL_EXPORTER_OTLP_TIMEOUT is 'soon': ")


@pytest.mark.parametrize(
    ("field", "value", "meaning"),
    [
        ("listen", "[::]:0", "[::]:0"),
        ("next_hop", "https://[::1]:4317", "https://[::1]:4317"),
        ("next_hop", "http://backend:4317/", "http://backend:4317/"),
        ("next_hop_headers", "a=1,B=x%2Cy, c = =", {"a": "1", "b": "x,y", "c": "="}),
        ("next_hop_headers", "", {}),
        ("max_send_bytes", "1MiB", 1_048_576),
        ("max_send_bytes", "5000", 5_000),
        ("volatile_keys", "a.*, b,", ("a.*", "b")),
        ("volatile_keys", "", ()),
        ("metrics_listen", "", ""),
        ("preload", "false", False),
        ("embed_timeout", "0.5", 0.5),
        ("template", "{operation}", "{operation}"),
    ],
)
def test_a_value_may_be_text(
    field: str, value: str, meaning: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OTEL_EMBEDDER_{field.upper()}", value)

    assert getattr(load_settings({}), field) == meaning
    assert getattr(load_settings({field: value}), field) == meaning


def test_an_engine_that_is_not_installed_hides_no_other_problem() -> None:
    said = problems(engine="sentence-transformers", model="./missing", cache_size="5")

    assert [line.partition(" ")[0] for line in said] == ["--engine", "--model", "--cache-size"]


@pytest.mark.parametrize("value", ["missing.yaml", "."])
def test_a_file_that_is_not_there_is_a_problem(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert problem(config=value).startswith(f"--config is '{value}': ")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("flag", "--next-hop"),
        ("variable", "OTEL_EMBEDDER_NEXT_HOP"),
        ("file", "{config}, line 3: next_hop"),
        ("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ],
)
def test_a_problem_is_told_in_the_words_of_the_place_it_came_from(
    source: str, place: str, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("# Ours.\nencoding: bytes\n" + "next_hop: grpc://a" * (source == "file"))
    for name in VARIABLES.keys() & {source}:
        monkeypatch.setenv(VARIABLES[name], "grpc://a")
    flags = {"next_hop": "grpc://a"} if source == "flag" else {}

    assert problem(config=config, **flags) == (
        f"{place.format(config=config)} is 'grpc://a': "
        "must be http://HOST:PORT, or https://HOST:PORT for TLS"
    )


def test_what_nobody_gave_is_told_in_all_spellings(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("ours")

    assert problem(tls_certificate=pair.certificate) == (
        "tls_key (--tls-key, OTEL_EMBEDDER_TLS_KEY): must be given, as tls_certificate is"
    )
    assert problem(next_hop_client_certificate=pair.certificate).startswith(
        "next_hop_client_key (--next-hop-client-key, OTEL_EMBEDDER_NEXT_HOP_CLIENT_KEY, "
        "OTEL_EXPORTER_OTLP_CLIENT_KEY): must be given"
    )


def test_a_problem_shows_the_value() -> None:
    assert problem(listen="nowhere") == (
        "--listen is 'nowhere': must be HOST:PORT, such as 127.0.0.1:4327"
    )


def test_every_problem_is_listed_from_wherever_it_is(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("encoding: float16\ncache_siez: 5\n")
    monkeypatch.setenv("OTEL_EMBEDDER_LISTEN", "nowhere")
    monkeypatch.setenv("OTEL_EMBEDDER_PRELAOD", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")

    said = problems(config=config, cache_size="5")

    assert [line.partition(": ")[0] for line in said] == [
        "OTEL_EMBEDDER_LISTEN is 'nowhere'",
        "OTEL_EXPORTER_OTLP_ENDPOINT is 'https://nowhere'",
        "--cache-size is '5'",
        f"{config}, line 1",
        f"{config}, line 2",
        "OTEL_EMBEDDER_PRELAOD",
    ]


def test_an_exporters_other_protocol_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://backend:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    with pytest.raises(SettingsError) as raised:
        load_settings({})

    [problem] = raised.value.problems
    assert problem.startswith("OTEL_EXPORTER_OTLP_PROTOCOL is 'http/protobuf': only grpc")
    # Where the next hop is said otherwise, it is nobody's business here.
    assert load_settings({"next_hop": "http://backend:4317"}).next_hop == "http://backend:4317"


def test_an_unknown_key_is_a_problem_with_a_suggestion(config: Path) -> None:
    config.write_text("cache_siez: 500")

    assert problem(config=config) == (
        f"{config}, line 1: cache_siez: there is no such setting; did you mean cache_size?"
    )


def test_an_unknown_variable_is_a_problem_with_a_suggestion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_NEXTHOP", "http://a:1")

    assert problem() == "OTEL_EMBEDDER_NEXTHOP: there is no such setting; did you mean next_hop?"


def test_a_name_like_no_other_has_no_suggestion(config: Path) -> None:
    config.write_text("zzz: 1")

    assert problem(config=config) == f"{config}, line 1: zzz: there is no such setting"


@pytest.mark.parametrize("name", SERVICE_LINKS)
def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "tcp://10.0.0.1:4327")

    assert load_settings({}).listen == "127.0.0.1:4327"


@pytest.mark.parametrize(
    "content",
    [b"- a\n- b\n", b"text", b"listen: [", b'listen: "\xff"', b"1: 2\n", b"null: 2\n"],
    ids=["list", "text", "broken", "not UTF-8", "number for a key", "null for a key"],
)
def test_a_file_that_holds_no_settings_is_a_problem(content: bytes, config: Path) -> None:
    config.write_bytes(content)

    assert len(problems(config=config)) == 1


def test_a_file_cannot_name_another(config: Path) -> None:
    config.write_text("config: another.yaml")

    assert "config" in problem(config=config)


@pytest.mark.parametrize(
    "content",
    [
        f"next_hop_headers: {{authorization: [{SECRET}]}}",
        f"next_hop_headers: {SECRET}",
        f"next_hop_header: authorization={SECRET}",
        f"next_hop_headers: {{authorization: '{SECRET}",
    ],
    ids=["wrong kind", "no equals", "misspelt", "broken"],
)
def test_a_secret_in_a_header_is_not_repeated(content: str, config: Path) -> None:
    config.write_text(content)

    assert SECRET not in problem(config=config)


@pytest.mark.parametrize("token", [f"{SECRET} {SECRET}", f"ü{SECRET}", ["a", SECRET], ""])
def test_a_wrong_token_is_not_repeated(token: object) -> None:
    said = problem(bearer_token=token)

    assert said.startswith("--bearer-token: ")
    assert SECRET not in said


def test_a_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EMBEDDER_BEARER_TOKEN", SECRET)
    settings = load_settings({})

    assert settings.bearer_token is not None
    assert settings.bearer_token.get_secret_value() == SECRET
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.model_dump())


def test_settings_do_not_change() -> None:
    settings = load_settings({})

    with pytest.raises(ValueError, match="frozen"):
        settings.cache_size = 500  # type: ignore[misc]


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "config"])
def test_every_setting_is_read_somewhere(name: str) -> None:
    sources = [path.read_text() for path in PACKAGE.rglob("*.py") if path.name != "settings.py"]

    assert [source for source in sources if re.search(rf"\bsettings\.{name}\b", source)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_does(name: str) -> None:
    assert (Settings.model_fields[name].description or "").endswith(".")


def test_a_password_in_a_wrong_address_is_not_told() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"next_hop": "https://ann:hunter2@backend:4317"})

    assert "--next-hop is 'https://<secret>@backend:4317': " in str(caught.value)
    assert "hunter2" not in str(caught.value)
