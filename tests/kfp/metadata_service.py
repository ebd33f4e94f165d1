"""ML Metadata's gRPC service: the store of the `ml_metadata` package behind its own protocol.

Kubeflow Pipelines runs a server of ML Metadata's C++ library. The package holds that library, but not the server.
"""

import collections
import functools
import threading
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as library
from ml_metadata.proto import metadata_store_pb2 as pb

_CODES = {code.value[0]: code for code in grpc.StatusCode}


class MetadataService(grpc.GenericRpcHandler):
    """Answers every method that the library has; `calls` counts them by name."""

    def __init__(self, database: Path, address: str):
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(database)
        config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self._store = library.CreateMetadataStore(config.SerializeToString(), pb.MigrationOptions().SerializeToString())
        # The store is one connection.
        self._lock = threading.Lock()
        self.calls: collections.Counter[str] = collections.Counter()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((self,))
        self._server.add_insecure_port(address)
        self._server.start()

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        if not hasattr(library, name):
            return None
        return grpc.unary_unary_rpc_method_handler(functools.partial(self._answer, name))

    def _answer(self, name: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self.calls[name] += 1
            response, message, code = getattr(library, name)(self._store, request)
        if code:
            context.abort(_CODES[code], message.decode() if isinstance(message, bytes) else message)
        return bytes(response)

    def stop(self) -> None:
        """Stops the server at once."""
        self._server.stop(grace=None).wait()
