# syntax=docker/dockerfile:1
# The image of flink-ha: one static program and CA certificates. `make image`
# builds the same image without a container engine, and a test compares the two.
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=$(git describe --tags --always) .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETARCH
ARG VERSION=devel
RUN CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X flink-ha-sidecar/internal/command.version=$VERSION" -o /flink-ha .

FROM scratch
ARG VERSION=devel
LABEL org.opencontainers.image.title="flink-ha-sidecar"
LABEL org.opencontainers.image.description="HA sidecar for Apache Flink JobManagers: frees the lock of a dead JobManager at once"
LABEL org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /flink-ha /flink-ha
# The user of Flink's official image. Any other works as well, with a read-only
# root: nothing is written but to --state-dir.
USER 9999:9999
ENTRYPOINT ["/flink-ha"]
