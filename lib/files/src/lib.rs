//! What file connectors share: dialect, globs, compression, encodings, type inference.
