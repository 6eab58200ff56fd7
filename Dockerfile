# The image of lossd, with lossctl beside it:
#
#   docker build -t lossd .
#   docker run -p 50051:50051 -p 9464:9464 lossd --threads 4

# Debian 12 and nothing more.
ARG BASE=debian:12-slim

# Before the stage that compiles, so that --target runtime does not compile.
FROM ${BASE} AS runtime
RUN --mount=type=bind,source=deploy,target=/deploy \
    /deploy/install_packages.sh runtime && rm -rf /var/lib/apt/lists/*
# In a container loopback reaches nobody. Variables rather than arguments of
# ENTRYPOINT, since a flag of the same name replaces them.
# A container has a network of its own: what is published, and whether with TLS,
# is the operator's choice.
ENV LOSSD_LISTEN=0.0.0.0:50051 \
    LOSSD_ALLOW_PLAINTEXT=true \
    LOSSD_METRICS_LISTEN=0.0.0.0:9464 \
    OMP_WAIT_POLICY=passive
EXPOSE 50051 9464
USER 10001:10001
STOPSIGNAL SIGTERM
# Asks 127.0.0.1:50051 unless LOSSD_SERVER says where lossd listens: with
# another --listen, set that too (docker run -e LOSSD_SERVER=127.0.0.1:6000
# lossd --listen 0.0.0.0:6000), or the container counts as unhealthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["lossctl", "health"]
ENTRYPOINT ["lossd"]

FROM ${BASE} AS build
COPY deploy /lossd/deploy
RUN /lossd/deploy/install_packages.sh build
COPY . /lossd
WORKDIR /lossd
RUN cmake --preset release -D LOSSD_BUILD_TESTS=OFF && \
    cmake --build --preset release --target lossd lossctl && \
    cmake --install build/release --prefix /out --strip

FROM runtime
COPY --from=build /out /usr/local
