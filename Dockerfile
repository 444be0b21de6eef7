# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
# OpenSSL, for Postgres over TLS, is built with these.
RUN apt-get update && apt-get install -y --no-install-recommends make perl && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY migrations migrations
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --features postgres-tls --bin parlance && cp target/dist/parlance /parlance && mkdir /data

# The C library, the certificates of public authorities, and nothing else; its user is not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /parlance /usr/local/bin/parlance
COPY --from=build --chown=nonroot:nonroot /data /data
ENV HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /data
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s CMD ["/usr/local/bin/parlance", "healthz"]
ENTRYPOINT ["/usr/local/bin/parlance"]
