# One static file in an empty file system, run by a user without a name or any right.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /keyway
COPY . .
RUN .ci/static /image

FROM scratch
LABEL org.opencontainers.image.title="Keyway" \
      org.opencontainers.image.description="A small key management server (KMIP 2.1 over JSON)" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT"
COPY --from=build /image/keyway /keyway
# The data belongs to the server's user: a new volume takes the owner of the folder that it is mounted on. The folders are
# where those of the old server are, and so is the working folder, to which --https-p12-file is relative.
COPY --from=build --chown=65532:65532 /image/root /root
ENV HOME=/root
WORKDIR /root/cosmian-kms
USER 65532:65532
VOLUME ["/root/cosmian-kms/sqlite-data", "/root/cosmian-kms/certbot-ssl"]
EXPOSE 9998
# Whether it runs, not whether it is ready: whoever sends nothing to a container that is not healthy would keep the owner, or
# the authority of the first certificate, from it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=5s CMD ["/keyway", "health", "--live"]
ENTRYPOINT ["/keyway"]
