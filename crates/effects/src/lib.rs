//! Everything that waits: store, render, acme, dns, probes.
