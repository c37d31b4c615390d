# The bridge (target bridge, the last one) and the example services (target examples).

FROM node:20.19.5-bookworm-slim AS examples
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY asyncapi asyncapi
COPY schemas schemas
COPY tools tools
COPY examples examples
USER node
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "examples/service.mjs"]

FROM debian:12.11 AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    build-essential cmake ninja-build pkg-config \
    librdkafka-dev libpq-dev libyaml-dev libssl-dev libcurl4-openssl-dev libcmocka-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake --preset release && cmake --build --preset release --target causeway

FROM debian:12.11-slim AS bridge
RUN apt-get update && apt-get install -y --no-install-recommends \
    librdkafka1 libpq5 libyaml-0-2 libssl3 libcurl4 ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/causeway /usr/local/bin/causeway
COPY asyncapi /etc/causeway/asyncapi
COPY schemas /etc/causeway/schemas
ENV CATALOGUE=/etc/causeway/asyncapi/asyncapi.yaml
WORKDIR /etc/causeway
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
ENTRYPOINT ["causeway"]
CMD ["serve"]
