# ssd300 serve in a container: no torch, no packages of the system, an ordinary user, a root that may be read-only.
#   docker build -t ssd300 .                      pictures
#   docker build -t ssd300:video --target video . and the tools for videos; for addresses, run it with -e SSD300_OFFLINE=0
#   docker build -t ssd300:batch --target batch . and Ray: a node of a cluster, or a batch on this machine (docs/scale.md)
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp --cap-drop ALL ssd300
FROM python:3.13-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE CHANGELOG.md hubconf.py ./
COPY .ci/metadata.py .ci/metadata.py
COPY src src
RUN python -m venv /opt/ssd300 \
 && /opt/ssd300/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[serve]'

FROM build AS build-video
RUN /opt/ssd300/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[serve,video]'

# Ray's job server and health checks, which KubeRay asks, are in ray[default].
FROM build AS build-batch
RUN /opt/ssd300/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[ray]' 'ray[default]'

FROM python:3.13-slim AS base
ENV PATH=/opt/ssd300/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SSD300_OFFLINE=1 SSD300_CACHE=/tmp/ssd300
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
# Not urllib, which would ask the proxy that Docker's settings may name.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client as h; line = h.HTTPConnection('127.0.0.1', 8000, timeout=2); line.request('GET', '/readyz'); exit(line.getresponse().status != 200)"]
ENTRYPOINT ["ssd300"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS video
COPY --from=build-video /opt/ssd300 /opt/ssd300

FROM base AS batch
ENV SSD300_OFFLINE=0 RAY_USAGE_STATS_ENABLED=0 HOME=/tmp
COPY --from=build-batch /opt/ssd300 /opt/ssd300
# KubeRay before 1.4 starts Ray in a login shell, which resets PATH.
COPY --from=build-batch /opt/ssd300/bin/ray /opt/ssd300/bin/ssd300 /usr/local/bin/
HEALTHCHECK NONE
CMD ["batch", "--help"]

FROM base AS serve
COPY --from=build /opt/ssd300 /opt/ssd300
