# The image of Plumbline: one binary on distroless, no shell, a user by number. Built natively on each platform:
#
#   docker buildx build --platform linux/arm64 --build-arg REVISION="$(git rev-parse HEAD)" --tag plumbline .
#
# `make image` builds the last stage without a daemon, looks into it and runs it. Both bases are pinned to the digest of
# their index of platforms; that of the runtime is the one tagged `nonroot`.
ARG RUST=docker.io/rust:1.95.0-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG RUNTIME=gcr.io/distroless/cc-debian12@sha256:b0ae8e989418b458e0f25489bc3be523718938a2b70864cc0f6a00af1ddbd985

# The dependencies, in a layer that lasts until Cargo.lock changes: the crates compile against sources that are empty.
FROM ${RUST} AS dependencies
WORKDIR /src
# The list of crates goes into the binary, where scanners for known vulnerabilities find it.
RUN cargo install cargo-auditable --version 0.7.7 --locked
COPY Cargo.toml Cargo.lock ./
COPY tests/rig/Cargo.toml tests/rig/
RUN mkdir -p src tests/it tests/rig/src \
    && for main in src tests/it tests/rig/src; do echo 'fn main() {}' > "$main/main.rs"; done \
    && touch src/lib.rs tests/rig/src/lib.rs \
    && cargo auditable build --release --locked --package plumbline

FROM dependencies AS build
COPY src src
# Newer than what was compiled from nothing.
RUN touch src/main.rs src/lib.rs \
    && cargo auditable build --release --locked --package plumbline \
    && install -D target/release/plumbline /out/plumbline

FROM ${RUNTIME}
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="plumbline" \
      org.opencontainers.image.description="Holds AWS accounts to a declared security baseline" \
      org.opencontainers.image.source="https://github.com/plumbline-dev/plumbline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE /licenses/plumbline
COPY --from=build /out/plumbline /usr/local/bin/plumbline
# By number, so that Kubernetes can tell that it is not root. Any other number will do, as OpenShift chooses one.
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/plumbline"]
CMD ["controller"]
