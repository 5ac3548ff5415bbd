# Egret's image: one static binary and the web's certificate authorities, nothing else.
#
#   docker build -t egret .
#   docker run --read-only --cap-drop ALL -p 443:443 -v "$PWD/config/article:/etc/egret:ro" egret
#
# Classic syntax only, so that any builder takes it.
ARG BUILD_IMAGE=rust:1-bookworm

FROM ${BUILD_IMAGE} AS build
WORKDIR /build

# glibc linked in, position independent. A static glibc cannot load NSS modules and does not need to: Egret asks DNS
# servers itself. Naming the target (below) keeps these flags away from build scripts and procedural macros.
ENV RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=symbols CARGO_TERM_COLOR=never

# The dependencies, built for an empty program: this layer is kept for as long as Cargo.toml and Cargo.lock are.
# Benchmarks and tests are not in the image's context, so the manifest must not name them here.
COPY Cargo.toml Cargo.lock ./
RUN awk '/^\[/ { kept = !/^\[\[(bench|test)\]\]/ } kept' Cargo.toml > manifest && mv manifest Cargo.toml \
 && mkdir src && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
 && rustc -vV | sed -n 's/^host: //p' > target-name \
 && cargo build --release --locked --bin egret --target "$(cat target-name)"

# The program, and the examples that its demo holds. Cargo goes by file times, and those of a checkout may be older than the empty program's.
COPY config config
COPY src src
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --bin egret --target "$(cat target-name)" \
 && cp "target/$(cat target-name)/release/egret" /egret

FROM scratch
# For `caCertificates: system`. Upstreams that name no authorities use those built into the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /egret /egret
USER 65532:65532
EXPOSE 80 443 15021
ENTRYPOINT ["/egret"]
CMD ["run"]
