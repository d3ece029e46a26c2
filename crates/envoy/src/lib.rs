//! Gateway rows to Envoy: pure encoding, the pure delta-xDS conversation, the gRPC server.
