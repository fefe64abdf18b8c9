"""Regenerates the committed protobuf stubs (`make proto`)."""

import shutil
import sys
from importlib import resources
from pathlib import Path

# The Python client reads it from its own package.
CONFIG = Path("shortlist/v1/service_config.json")
ROOT = Path(__file__).resolve().parent.parent


def generate(out_dir: Path) -> None:
    """Writes the message, gRPC and type stubs of every contract file under `out_dir`/shortlist/v1.

    Raises:
        RuntimeError: protoc refused the contract, or the plugin for type stubs is not installed.
    """
    from grpc_tools import protoc

    # The plugin lies beside this interpreter, which need not be on PATH.
    plugin = shutil.which("protoc-gen-mypy_grpc", path=str(Path(sys.executable).parent)) or shutil.which(
        "protoc-gen-mypy_grpc"
    )
    if plugin is None:
        raise RuntimeError("protoc-gen-mypy_grpc is not installed; run `make setup`")
    protos = ROOT / "protos"
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    arguments = [
        "protoc",
        f"--proto_path={protos}",
        f"--proto_path={resources.files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy_grpc={plugin}",
        f"--python_out={out_dir}",
        f"--pyi_out={out_dir}",
        f"--grpc_python_out={out_dir}",
        f"--mypy_grpc_out={out_dir}",
        *files,
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc refused the contract; its messages stand above")
    shutil.copy(protos / CONFIG, out_dir / CONFIG)


if __name__ == "__main__":
    generate(ROOT)
    sys.stdout.write("stubs written to shortlist/v1\n")
