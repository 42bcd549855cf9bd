"""The edge to NVIDIA Riva, or to anything that speaks its gRPC service. Nothing outside knows gRPC or protobuf."""
