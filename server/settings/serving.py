"""Settings of the release, its models and its catalogue."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from core.triton.encoder_configs import ON_CPU, ON_GPU
from server.models.encoder_choice import AUTO, ENCODER_PRECISIONS, EncoderWishes
from server.settings.kinds import Address, Count, Target

_CHECKOUT = Path(__file__).resolve().parents[2]


class ServingSettings(BaseModel):
    """The release, Triton, the encoder and the state folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    releases: Path = Field(Path("releases"), description="folder of releases")
    release: str | None = Field(None, description="release folder or id; the current one by default")
    scenes: Path | None = Field(
        None,
        description="TOML file of scenes; scenes.toml beside the releases where that exists, else the release's own",
    )
    release_keys: Path | None = Field(None, description="PEM file of Ed25519 keys; one must have signed the release")
    model_repository: Path = Field(Path("model_repository"), description="folder that the gateway and Triton both see")
    triton: Target | None = Field(
        None, description="gRPC address of a Triton that somebody else runs, HOST:PORT or unix:PATH"
    )
    triton_key_file: Path | None = Field(
        None, description="file with NAME=VALUE, the key of that Triton's restricted protocols"
    )
    encoder_on_gpu: bool = Field(False, description="have that Triton run the encoder on its GPU")
    encoder_config: str | None = Field(
        None,
        pattern=f"^({'|'.join((*ON_CPU, *ON_GPU))})$",
        description="run the encoder by openvino or openvino-bfloat16; or on that Triton's GPU by tensorrt (a plan) or "
        "onnxruntime-tensorrt",
    )
    precision: str = Field(
        AUTO,
        pattern=f"^({'|'.join(ENCODER_PRECISIONS)})$",
        description="numbers that a float32 encoder is computed in: float32, bfloat16 (several times as fast where the "
        "processor multiplies it), or auto: bfloat16 there, where the release's canaries agree "
        "and the encoder's file has at least 16 MiB",
    )
    encoder_instances: Count | None = Field(
        None,
        description="copies of the encoder on the processor, a batch at a time each; by default one",
    )
    encoder_threads: Count | None = Field(None, description="threads of each of them; by default one a core, up to 4")
    text_encoder: str = Field(
        "encoder",
        pattern="^(encoder|student)$",
        description="encoder, or student: the release's table of token vectors, many times as fast and less exact",
    )
    embedding_cache_mb: int = Field(
        64, ge=0, le=1_000_000, description="memory for vectors of texts that were asked before, MiB; 0 keeps none"
    )
    recall_sample: float = Field(
        0.001,
        ge=0,
        le=1,
        description="share of the queries by text whose vector search is compared with an exact one in the background; "
        "with milvus none",
    )
    milvus: str | None = Field(
        None,
        min_length=1,
        description="Milvus that holds the items: an http(s) URI, or a file *.db to try it; needs fixed_catalogue",
    )
    milvus_token_file: Path | None = Field(None, description="file with that Milvus's token, or USER:PASSWORD")
    follow: Address | None = Field(
        None, description="gateway whose changes of the catalogue this one follows; it takes none itself"
    )
    follow_key_file: Path | None = Field(None, description="file with a key of that gateway with the scope replicate")
    follow_ca: Path | None = Field(
        None, description="PEM file of who signed that gateway's certificate; without it the two speak plaintext"
    )
    event_loop: str = Field(
        "auto",
        pattern="^(auto|asyncio|uvloop)$",
        description="event loop of the gateway: asyncio, uvloop, or auto: uvloop where its extra is installed",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="gateway processes on one port, for a machine with many cores; more than one need fixed_catalogue, "
        "and event_store off or Redis",
    )
    triton_env: Path = Field(_CHECKOUT / ".venv-triton", description="Python environment of the embedded Triton")
    triton_backends: str = Field(
        "native",
        pattern="^(native|python)$",
        description="backends of the embedded Triton: native, compiled by `make setup`, and the Python-based ones "
        "where there are none; or python for those alone",
    )
    state: Path = Field(Path("var"), description="folder for logs and the embedded Triton's backends")
    fixed_catalogue: bool = Field(
        False, description="serve the release's items as they are: keep no changes, and leave those kept before out"
    )

    def encoder_wishes(self) -> EncoderWishes:
        """Returns what is said of the encoder."""
        return EncoderWishes(
            self.precision,
            self.encoder_config,
            self.encoder_on_gpu,
            self.encoder_instances,
            self.encoder_threads,
            by_student=self.text_encoder == "student",
        )
