import re
from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from server.settings import Settings, load_configuration

CERTIFICATE = {"tls_certificate": "cert.pem", "tls_key": "key.pem"}


def load(file=None, environment=None, **flags):
    return load_configuration(file, environment or {}, flags)


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "shortlist.toml"
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return path

    return write


def test_a_later_source_wins_and_each_value_says_where_it_is_from(file):
    path = file("max_k = 20\ndefault_k = 5\nsearch_threads = 3\n")
    environment = {"SHORTLIST_DEFAULT_K": "6", "SHORTLIST_SEARCH_THREADS": "4", "PATH": "/bin", "MAX_K": "9"}
    found = load(path, environment, search_threads=7)
    settings, sources = found.settings, found.sources
    assert (settings.max_k, sources["max_k"]) == (20, str(path))
    assert (settings.default_k, sources["default_k"]) == (6, "SHORTLIST_DEFAULT_K")
    assert (settings.search_threads, sources["search_threads"]) == (7, "--search-threads")
    assert (settings.max_events, sources["max_events"]) == (1_000, "default")
    assert set(sources) == set(Settings.model_fields)


def test_the_defaults_are_the_limits_that_the_contract_names():
    found = load()
    assert set(found.sources.values()) == {"default"}
    limits = found.settings.request_limits()
    assert (limits.default_k, limits.max_k, limits.max_text_bytes) == (10, 1_000, 8_192)
    assert (limits.max_exclusions, limits.max_events, limits.max_item_ids) == (10_000, 1_000, 1_000)
    assert (limits.max_conditions, limits.max_batch_requests, limits.max_embed_texts) == (32, 256, 256)
    assert found.settings.deadline_limits().default_s == 1.0
    assert found.settings.listen.startswith("127.0.0.1:")


def test_limits_follow_the_settings():
    settings = load(max_k=7, default_k=3, default_deadline_s=2, longest_deadline_s=3).settings
    assert (settings.request_limits().max_k, settings.request_limits().default_k) == (7, 3)
    assert (settings.deadline_limits().default_s, settings.deadline_limits().longest_s) == (2, 3)


def test_every_setting_is_explained():
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environments_strings_get_their_types():
    environment = {
        "SHORTLIST_INSECURE": "true",
        "SHORTLIST_RELEASES": "/data",
        "SHORTLIST_UNREADABLE_LIMIT": "0.5",
        "SHORTLIST_TRITON": "[::1]:8001",
    }
    settings = load(environment=environment).settings
    assert settings.insecure is True
    assert settings.releases == Path("/data")
    assert settings.unreadable_limit == 0.5
    assert settings.triton == "[::1]:8001"


def test_an_unknown_name_is_refused_with_its_source(file):
    path = file("colour = 1\n")
    for found, source in (
        ({"file": path}, f"colour ({path})"),
        ({"environment": {"SHORTLIST_COLOUR": "1"}}, "colour (SHORTLIST_COLOUR)"),
        ({"colour": 1}, "colour (--colour)"),
    ):
        with pytest.raises(ConfigurationError, match="unknown setting " + re.escape(source)):
            load(**found)


def test_variables_of_a_kubernetes_service_are_passed_over():
    environment = {
        "SHORTLIST_SERVICE_HOST": "10.0.0.7",
        "SHORTLIST_SERVICE_PORT": "8470",
        "SHORTLIST_SERVICE_PORT_GRPC": "8470",
        "SHORTLIST_PORT": "tcp://10.0.0.7:8470",
        "SHORTLIST_PORT_8470_TCP": "tcp://10.0.0.7:8470",
        "SHORTLIST_PORT_8470_TCP_ADDR": "10.0.0.7",
        "SHORTLIST_PORT_8470_TCP_PORT": "8470",
        "SHORTLIST_PORT_8470_TCP_PROTO": "tcp",
        "SHORTLIST_MAX_K": "20",
    }
    found = load(environment=environment)
    assert {source for source in found.sources.values() if source != "default"} == {"SHORTLIST_MAX_K"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SHORTLIST_PORT", "8470"),
        ("SHORTLIST_PORT_TCP", "8470"),
        ("SHORTLIST_PORT_8470_TCP_HOST", "x"),
        ("SHORTLIST_SERVICE", "x"),
        ("SHORTLIST_SERVICE_HOSTS", "x"),
    ],
)
def test_variables_much_like_them_are_refused(variable, value):
    with pytest.raises(ConfigurationError, match=f"unknown setting .*{variable}"):
        load(environment={variable: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_k", "0"),
        ("max_k", "-1"),
        ("max_k", "ten"),
        ("max_k", "1.5"),
        ("max_k", ""),
        ("default_deadline_s", "0"),
        ("default_deadline_s", "nan"),
        ("default_deadline_s", "inf"),
        ("drain_s", "-1"),
        ("unreadable_limit", "1.1"),
        ("unreadable_limit", "nan"),
        ("insecure", "perhaps"),
        ("log_level", "loud"),
        ("log_format", "xml"),
        ("listen", "8470"),
        ("listen", "127.0.0.1"),
        ("listen", "::1:8470"),
        ("listen", "127.0.0.1:port"),
        ("listen", ":8470"),
        ("triton", "http://localhost:8001"),
    ],
)
def test_a_value_out_of_range_is_refused_with_name_source_and_value(name, value):
    variable = f"SHORTLIST_{name.upper()}"
    with pytest.raises(ConfigurationError) as refusal:
        load(environment={variable: value})
    assert str(refusal.value).startswith(f"{name} ({variable}): ")
    assert repr(value) in str(refusal.value)
    assert Settings.model_fields[name].description in str(refusal.value)


def test_every_fault_is_named_at_once():
    with pytest.raises(ConfigurationError) as refusal:
        load(environment={"SHORTLIST_MAX_K": "0", "SHORTLIST_COLOUR": "1"}, max_events=0)
    assert [line.split(" (")[0] for line in sorted(str(refusal.value).splitlines())] == [
        "max_events",
        "max_k",
        "unknown setting colour",
    ]


@pytest.mark.parametrize("text", ["max_k", "max_k = ", "\udcff"])
def test_a_file_that_is_no_configuration_is_refused(file, text):
    with pytest.raises(ConfigurationError, match="cannot be used as configuration"):
        load(file(text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"default_k": 11, "max_k": 10}, "default_k must not exceed max_k"),
        ({"default_deadline_s": 61}, "default_deadline_s must not exceed longest_deadline_s"),
        ({"tls_certificate": "c"}, "go together"),
        ({"tls_key": "k"}, "go together"),
        ({"tls_client_ca": "a"}, "tls_client_ca needs"),
        ({"listen": "127.0.0.1:65536"}, "port above 65535"),
        ({"metrics_listen": "127.0.0.1:99999"}, "port above 65535"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(flags, message):
    with pytest.raises(ConfigurationError, match=message):
        load(**flags)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"max_k": "abc"}, "max_k (--max-k): expected a whole number, found 'abc' (largest k)"),
        ({"max_k": "0"}, "expected 1 or more, found '0'"),
        ({"max_k": "10000001"}, "expected at most 10,000,000, found"),
        ({"default_deadline_s": "soon"}, "expected a number, found 'soon'"),
        ({"default_deadline_s": "0"}, "expected more than 0, found '0'"),
        ({"tls_certificate": 5}, "expected a path, found 5"),
        ({"insecure": "perhaps"}, "expected true or false, found 'perhaps'"),
    ],
)
def test_a_value_of_another_kind_is_refused_in_plain_words(flags, message):
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        load(**flags)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]", "[0:0:0:0:0:0:0:1]"])
def test_loopback_needs_nothing(host):
    assert load(listen=f"{host}:0", metrics_listen=f"{host}:1").settings.listen == f"{host}:0"


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "10.0.0.1", "gateway.example", "128.0.0.1", "127.example.com", "127.0.0.1.example.com"]
)
def test_another_address_needs_tls_or_a_word(host):
    address = f"{host}:8470"
    with pytest.raises(ConfigurationError, match=f"listen is {re.escape(address)}, which others can reach"):
        load(listen=address)
    assert load(listen=address, insecure=True).settings.listen == address
    assert load(listen=address, api_keys="keys.toml", **CERTIFICATE).settings.listen == address


def test_tls_of_the_gateway_does_not_cover_the_metrics_page():
    with pytest.raises(ConfigurationError, match="metrics_listen is"):
        load(metrics_listen="0.0.0.0:8471", **CERTIFICATE)
    load(metrics_listen="0.0.0.0:8471", insecure=True)


def test_a_key_is_for_somebody_elses_triton():
    assert load(triton="127.0.0.1:8001", triton_key_file="key").settings.triton_key_file == Path("key")
    with pytest.raises(ConfigurationError, match="triton_key_file needs triton"):
        load(triton_key_file="key")


def test_only_somebody_elses_triton_has_a_gpu():
    with pytest.raises(ConfigurationError, match="encoder_on_gpu needs triton"):
        load(encoder_on_gpu=True)
    with pytest.raises(ConfigurationError, match="encoder_config tensorrt needs triton"):
        load(encoder_config="tensorrt")
    with pytest.raises(ConfigurationError, match="is for the processor"):
        load(triton="127.0.0.1:8001", encoder_config="openvino", encoder_on_gpu=True)
    assert load(encoder_config="openvino").settings.encoder_config == "openvino"
    with pytest.raises(ConfigurationError, match="openvino-bfloat16"):
        load(triton="127.0.0.1:8001", encoder_config="tensorrt2")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"playground": True}, "playground_listen: port 8472 is that of a worker's metrics, which are at 8472 to 8473"),
        ({"listen": "127.0.0.1:8473"}, "listen: port 8473"),
        ({"metrics_listen": "127.0.0.1:65534"}, "worker 2 would show its metrics at port 65536"),
    ],
)
def test_the_workers_pages_of_metrics_meet_no_other_port(more, problem):
    workers = {"workers": 3, "fixed_catalogue": True, "event_store": "off"}
    assert load(**workers).settings.workers == 3
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        load(**workers, **more)
    if "metrics_listen" not in more:
        assert load(**workers, **more, metrics_listen="127.0.0.1:0").settings.workers == 3


def test_several_workers_need_state_that_they_share():
    shared = {"workers": 2, "fixed_catalogue": True, "event_store": "off"}
    assert load(**shared).settings.connection_limits().shared_port
    assert not load().settings.connection_limits().shared_port
    assert load(**shared | {"event_store": "redis://127.0.0.1:6379"}).settings.workers == 2
    with pytest.raises(ConfigurationError, match="needs fixed_catalogue"):
        load(**shared | {"fixed_catalogue": False})
    with pytest.raises(ConfigurationError, match="needs a port"):
        load(**shared, listen="unix:/tmp/gateway")
    for store in (None, "users.sqlite"):
        with pytest.raises(ConfigurationError, match="event_store redis"):
            load(**{**shared, "event_store": store} if store else {"workers": 2, "fixed_catalogue": True})
