# The program as one file on Node without a shell. All of its packages are in that file, so nothing is installed here:
# a published image is Node, its C library and certificates, and about 1 MB of ours.
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) -t NAME .

# The one file is the same for every platform, so it is made on the builder's own.
FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# Of the packages' own scripts none is needed to make the file.
RUN npm ci --ignore-scripts
COPY tsconfig.json build.ts ./
COPY agent agent
COPY outputs outputs
RUN node build.ts

# Named, because buildah takes the platform of the stage before where there is none.
FROM --platform=$TARGETPLATFORM gcr.io/distroless/nodejs24-debian12:nonroot
ARG REVISION=unknown
LABEL org.opencontainers.image.title="tailrace" \
      org.opencontainers.image.description="Node-level logging agent for Kubernetes" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="gcr.io/distroless/nodejs24-debian12:nonroot"
COPY --from=build /src/dist/tailrace.mjs /app/tailrace.mjs
COPY LICENSE /app/
# Half of the container's memory limit, whatever that is: chunks and request bodies lie outside of V8's heap.
# The least for what is young: 17 MB less at the peak for a tenth less CPU, since nearly nothing in the hot path is an object.
# One arena for all threads: what the compiler's threads have freed is used again, 4 to 15 MB less. Of it only small pieces
# come: what is larger goes back to the system when it is freed and leaves no hole, which is 10 MB less once idle.
ENV NODE_ENV=production NODE_OPTIONS="--max-old-space-size-percentage=50 --max-semi-space-size=1" MALLOC_ARENA_MAX=1 MALLOC_MMAP_THRESHOLD_=32768
EXPOSE 9780
# Not root unless the pod says so, which reading log files (0640, root) takes: see daemonset.yaml.
USER 65532:65532
ENTRYPOINT ["/nodejs/bin/node", "/app/tailrace.mjs"]
CMD ["run"]
