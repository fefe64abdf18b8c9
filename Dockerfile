# The gateway's image: `shortlist serve` in front of a Triton in a container of its own. No torch, no compiler, no pip.
# deploy/compose.yaml runs both; docs/containers.md explains; `make image-check` carries these steps out in a chroot.

# Bookworm's Python is the 3.11 that the tests run with.
ARG DEBIAN=bookworm

FROM debian:${DEBIAN}-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Debian replaces a package's version with each security fix, so none is pinned here; Python's are, by constraints.txt.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# Only what the dependencies hang on, so that a change of the code does not install them again.
COPY constraints.txt pyproject.toml README.md LICENSE ./
# hnswlib is compiled for the machine it is built on unless told otherwise, and then dies on an older one. AVX2 and FMA
# are what any x86-64 server since 2013 has (Haswell; AMD: Zen).
ENV HNSWLIB_NO_NATIVE=1 \
    CFLAGS="-mavx2 -mfma" \
    CXXFLAGS="-mavx2 -mfma" \
    PIP_CONSTRAINT=/app/constraints.txt \
    PIP_NO_CACHE_DIR=1
RUN python3 -m venv /venv \
    && /venv/bin/python -m pip install --quiet --editable '.[server]' \
    && /venv/bin/python -m pip uninstall --quiet --yes pip setuptools
COPY cli cli
COPY domain domain
COPY core core
COPY server server
COPY shortlist shortlist
RUN /venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="Shortlist gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 shortlist \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin shortlist \
    && install --directory --owner=10001 --group=10001 /models /releases /state
COPY --from=build /venv /venv
COPY --from=build /app /app
# Everything the gateway writes goes to /models, and to /state where SHORTLIST_STATE names it; releases are only read. A
# volume that is empty takes over the owner.
# (The rule below takes TOKENIZERS_PARALLELISM for a token.)
# hadolint ignore=DL3064
ENV PATH=/venv/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TOKENIZERS_PARALLELISM=false \
    SHORTLIST_LISTEN=0.0.0.0:8470 \
    SHORTLIST_METRICS_LISTEN=0.0.0.0:8471 \
    SHORTLIST_RELEASES=/releases \
    SHORTLIST_MODEL_REPOSITORY=/models \
    SHORTLIST_LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 8470 8471
# Until the release is verified, in Triton and warm it is not SERVING; a large one takes a while.
HEALTHCHECK --interval=15s --timeout=5s --start-period=180s --retries=3 \
    CMD ["/bin/sh", "-c", "exec shortlist health --address \"127.0.0.1:${SHORTLIST_LISTEN##*:}\""]
STOPSIGNAL SIGTERM
ENTRYPOINT ["shortlist"]
CMD ["serve"]
