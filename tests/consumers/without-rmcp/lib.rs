//! A crate whose tests verify a loader. The loader stands in the tests, because nothing else uses it.
