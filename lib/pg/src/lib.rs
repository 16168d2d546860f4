//! What both Postgres connectors share: connect, TLS, COPY text, types, names.
