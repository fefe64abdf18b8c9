"""Server reflection in both versions, `grpc.reflection.v1` and the older `v1alpha`, from the same descriptors."""

from collections.abc import Iterable

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_reflection.v1alpha import reflection, reflection_pb2

_OLD = "grpc.reflection.v1alpha"
_NEW = "grpc.reflection.v1"
_METHOD = "ServerReflectionInfo"
SERVICES = (f"{_NEW}.ServerReflection", reflection.SERVICE_NAME)


def add_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Adds both versions of the reflection service to a server that has not started.

    Their messages are the same on the wire; grpc's package for Python has v1alpha alone.

    Args:
        services: full names of the services to list; reflection itself is added to them.
        server: gets the services.
    """
    servicer = reflection.aio.ReflectionServicer((*services, *SERVICES), pool=SymbolPool(_with_stable_version()))
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = [grpc.method_handlers_generic_handler(name, {_METHOD: handler}) for name in SERVICES]
    server.add_generic_rpc_handlers(tuple(handlers))


class SymbolPool:
    """Descriptors that are also found by a member's name: a method, a field, a value of an enum, a oneof."""

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool
        self.FindFileByName = pool.FindFileByName
        self.FindMessageTypeByName = pool.FindMessageTypeByName
        self.FindExtensionByNumber = pool.FindExtensionByNumber
        self.FindAllExtensions = pool.FindAllExtensions

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:
        """Returns the file of a symbol.

        Raises:
            KeyError: there is none of that name.
        """
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            parent, _, member = symbol.rpartition(".")
            file = self._pool.FindFileContainingSymbol(parent)
            if member not in self._members(parent):
                raise
            return file

    def _members(self, parent: str) -> frozenset[str]:
        """Returns the names of a service's methods, a message's fields and oneofs, or an enum's values."""
        for find, kinds in (
            (self._pool.FindServiceByName, ("methods_by_name",)),
            (self._pool.FindMessageTypeByName, ("fields_by_name", "oneofs_by_name")),
            (self._pool.FindEnumTypeByName, ("values_by_name",)),
        ):
            try:
                found = find(parent)
            except KeyError:
                continue
            return frozenset(name for kind in kinds for name in getattr(found, kind))
        return frozenset()


def _with_stable_version() -> descriptor_pool.DescriptorPool:
    """Returns the default pool, which has v1 of reflection too: v1alpha under its other name."""
    pool = descriptor_pool.Default()
    file = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    file.name = f"{_NEW.replace('.', '/')}/reflection.proto"
    file.package = _NEW
    fields = [field for message in file.message_type for field in message.field if field.type_name]
    for field in fields:
        field.type_name = field.type_name.replace(f".{_OLD}.", f".{_NEW}.")
    for method in file.service[0].method:
        method.input_type = method.input_type.replace(f".{_OLD}.", f".{_NEW}.")
        method.output_type = method.output_type.replace(f".{_OLD}.", f".{_NEW}.")
    pool.AddSerializedFile(file.SerializeToString())
    return pool
