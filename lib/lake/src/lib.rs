//! The date-partitioned folder: names, manifest, staging, atomic publish, lock; reading a day back.
