"""What a test adds to the commands of pages: which are not run and why, smaller sizes, and a reader's own words."""

from collections.abc import Mapping, Sequence

Command = tuple[str, str]
"""A page, and the beginning of one or more of its commands."""

_INSTALLS = "installs packages from the network"
_CONTAINERS = "needs Docker; tests/deploy/test_compose.py holds the files, and starts what they start"
_CLUSTER = "needs a cluster or Kustomize; tests/deploy/test_kubernetes.py renders the manifests and plays the kubelet"
_CAPACITY = "minutes on a quiet machine; tests/cli/slo/test_slo_command.py finds a capacity that is known"
_MEASURES = "a measurement of minutes for a quiet machine"
_DATA = "needs real data that the product does not carry, and minutes"

NOT_RUN: Mapping[Command, str] = {
    ("README.md", "make demo"): "installs; tests/cli/test_demo_command.py runs `shortlist demo`",
    ("README.md", "make test"): "is what runs this test",
    ("README.md", "pip install ."): f"{_INSTALLS}; tests/shortlist/test_client_wheel.py builds and installs the wheel",
    ("docs/client.md", "cd clients/node && npm ci"): _INSTALLS,
    ("docs/client.md", "node client.js"): "needs npm's packages; tests/clients/test_node.py runs it where they are",
    ("docs/containers.md", "(umask 077;"): "needs root; tests/deploy/test_compose.py writes such a key",
    ("docs/containers.md", "docker "): _CONTAINERS,
    ("docs/containers.md", "tritonserver "): "tests/deploy/test_compose.py starts Triton so, with such a key",
    ("docs/containers.md", "shortlist serve "): "tests/deploy/test_compose.py, in front of that Triton",
    ("docs/development.md", "make setup"): _INSTALLS,
    ("docs/development.md", ".venv/bin/python -m bench.main_job"): _DATA,
    ("docs/development.md", ".venv/bin/python -m bench.quality"): _DATA,
    ("docs/development.md", ".venv/bin/python -m bench.encoder_speed"): _MEASURES,
    ("docs/export.md", "shortlist export        --calibration items.jsonl --report"): (
        "every precision; tests/export/comparison/test_report.py runs it with a small encoder"
    ),
    ("docs/kubernetes.md", "docker "): _CONTAINERS,
    ("docs/kubernetes.md", "kubectl create namespace"): _CLUSTER,
    ("docs/kubernetes.md", "kubectl apply"): _CLUSTER,
    ("docs/kubernetes.md", "cd deploy/kubernetes/base && kustomize"): _CLUSTER,
    ("docs/large-catalogues.md", "pip install"): _INSTALLS,
    ("docs/large-catalogues.md", "python -m bench.catalogue_growth"): _MEASURES,
    (
        "docs/operations.md",
        "shortlist tune",
    ): "takes minutes; tests/cli/test_tune_command.py makes one trial",
    ("docs/operations.md", "shortlist up --workers 4"): "needs Redis; tests/server/test_workers.py starts workers",
    ("docs/operations.md", "pip install opentelemetry"): _INSTALLS,
    (
        "docs/operations.md",
        "OTEL_SERVICE_NAME",
    ): "needs those; tests/server/observability/test_tracing.py has the spans",
    ("docs/personalisation.md", ".venv/bin/shortlist events consume"): "needs Kafka; tests/cli/test_events_consume.py",
    ("docs/performance.md", ".venv/bin/python -m bench."): _MEASURES,
    ("docs/performance.md", ".venv/bin/shortlist slo"): _CAPACITY,
    ("docs/relevance.md", "make bench-relevance"): _DATA,
    ("docs/relevance.md", "python -m bench.relevance"): f"{_DATA}; tests/bench/test_relevance.py runs it with --small",
    ("docs/reliability.md", "make "): "half an hour to two; tests/bench/test_chaos.py runs it in short",
    ("docs/reliability.md", ".venv/bin/python -m bench.chaos"): "minutes; tests/bench/test_chaos.py runs it in short",
    ("docs/security.md", "make "): "asks package indexes; tests/tools/test_supply_chain.py",
    ("docs/slo.md", "pip install"): _INSTALLS,
    ("docs/slo.md", ".venv/bin/shortlist slo --queries queries.txt --slo slo.toml --find-capacity"): _CAPACITY,
    ("docs/training.md", "torchrun"): "tests/cli/test_train_processes.py runs it with two processes",
}
"""Commands that are left out, and why."""

STANDS: Mapping[str, Sequence[str]] = {
    "README.md": (".venv/bin/shortlist up", ".venv/bin/shortlist up --releases var/demo/releases"),
    "docs/performance.md": (".venv/bin/shortlist up --releases releases",),
    "docs/playground.md": ("shortlist up --playground",),
    "docs/scenes.md": ("shortlist up --scenes sample/scenes.toml",),
}
"""Commands that the test's one gateway stands for: it was started with these flags."""

STARTED: Mapping[Command, Sequence[str]] = {
    ("docs/live-catalogue.md", "shortlist up"): (
        *("--tls-certificate", "server.pem", "--tls-key", "server.key"),
        *("--api-keys", "keys.toml"),
    ),
    ("docs/playground.md", "shortlist up --playground --playground-other"): ("--playground-listen", "127.0.0.1:0"),
}
"""Flags that a gateway needs beside others on one machine, or that its page has in another sentence."""

_SMALL = [
    word
    for setting in ("collaborative.ease.tried=[10.0]", "blend.proxy.nearest=[5]", "blend.proxy.temperatures=[0.3]")
    for word in ("--set", setting)
]
MORE: Mapping[str, Sequence[str]] = {
    "slo": ("--duration", "2", "--warm-up", "0.5", "--rounds", "1"),
    "train": ("--only", "collaborative,blend", *_SMALL),
    "retrain": ("--skip", "aspects,encoder,student,student_encoder,ranker,text_ranker,user_tower", *_SMALL),
    "evaluate --protocol warm-users": ("--untuned", "--rows", "popularity,ease"),
    "evaluate --protocol cold-items": ("--untuned",),
    "evaluate --protocol search-personal": ("--cases", "5"),
}
"""Flags that make a command small enough for a test; it is run with the page's own flags, too."""

STATUS: Mapping[Command, tuple[frozenset[int], str]] = {
    ("docs/operations.md", "shortlist doctor"): (frozenset({0, 1}), "canary"),
    ("docs/slo.md", ".venv/bin/shortlist slo"): (frozenset({0, 1, 2}), "p99"),
    ("README.md", ".venv/bin/shortlist slo"): (frozenset({0, 1, 2}), "p99"),
}
"""Commands whose status judges the machine: what it may be, and what the output then has."""

SAID: Mapping[str, Mapping[str, str]] = {
    "docs/client.md": {"gateway.example:443": "TLS", "deadline_s=0.2": "deadline_s=20"},
    "docs/export.md": {"--encoder DIR": "--encoder encoder"},
    "docs/kubernetes.md": {name: f"--dry-run=client -o yaml {name}" for name in ("--from-file=", "--cert=")},
    "docs/large-catalogues.md": {
        " --engine ray": "",
        "--workers 8": "--workers 2",
        "--count 10000000": "--count 200",
        "http://milvus:19530": "items.db",
        "--milvus-token-file milvus.token": "",
    },
    "docs/live-catalogue.md": {"monday --state var": "monday --state elsewhere"},
    "docs/operations.md": {"20261129-104517-f01b3f": "OTHER"},
    "docs/performance.md": {"movielens-small/": ""},
    "docs/personalisation.md": {"--items items.jsonl": "--items few.jsonl"},
    "docs/playground.md": {"127.0.0.1:8570": "127.0.0.1:8470"},
    "docs/relevance.md": {
        "--queries ... --judgements ...": "--queries queries.tsv --judgements judgements.tsv",
        "HOST:PORT": "127.0.0.1:8470",
        "--release DIR": "--release releases",
    },
    "docs/scenes.md": {"--items FILE --scenes FILE": "--items items.jsonl --scenes sample/scenes.toml"},
    "docs/slo.md": {"127.0.0.1:9470": "127.0.0.1:8470", "http://127.0.0.1:8000/search": "PEER"},
}
"""Words of a page, and what its reader puts there, or a size that a test can wait for."""

NAMES: Mapping[str, str] = {"docs/live-catalogue.md": "10.0.0.7:8470", "docs/operations.md": "localhost:8480"}
"""Addresses by which a page's later commands call the first gateway that it starts."""

OUTPUTS: Mapping[str, Sequence[str]] = {
    "docs/arrangement.md": ("(1 - diversity)",),
    "docs/containers.md": ("size  ",),
    "docs/contract.md": ("score  ", "shortlist: items.parquet", "shortlist: items.csv"),
    "docs/design.md": ("domain, shortlist  ->",),
    "docs/operations.md": ('{"method"', "triton: tritonserver ended"),
}
"""Blocks that are not to be run, by how they begin."""

RELEASED = {
    *("docs/kubernetes.md", "docs/live-catalogue.md", "docs/personalisation.md"),
    *("docs/playground.md", "docs/relevance.md", "docs/security.md"),
}
"""Pages that begin with a release; the others have none before they build one."""
