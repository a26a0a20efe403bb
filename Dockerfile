# Pin the digest of the base when an image is released: FROM python:3.11-slim@sha256:…
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/birdcli
COPY requirements.lock requirements-build.lock ./
# Before the sources, so that a change of code does not download TensorFlow again.
RUN /opt/birdcli/bin/python -m pip install --require-hashes --no-deps --only-binary :all: \
    -r requirements.lock
RUN python -m pip install --require-hashes --no-deps --only-binary :all: -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY birdcli birdcli
RUN python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && /opt/birdcli/bin/python -m pip install --no-deps --no-index dist/birdcli-*.whl

FROM ${BASE}
LABEL org.opencontainers.image.title="birdcli" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --create-home birdcli \
    && install --directory --owner birdcli --group birdcli --mode 0700 /data
COPY --from=build /opt/birdcli /opt/birdcli
ENV PATH="/opt/birdcli/bin:${PATH}" BIRDCLI_HOME=/data
VOLUME /data
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["birdcli"]
CMD ["--help"]
