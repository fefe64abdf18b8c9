from importlib import resources
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[1]
UNSIGNED = {Field.TYPE_UINT32, Field.TYPE_UINT64, Field.TYPE_FIXED32, Field.TYPE_FIXED64}
# Numbers of the fields of the descriptor messages: a source location is a path of them.
MESSAGE, ENUM, SERVICE = 4, 5, 6
FIELD, NESTED_MESSAGE, NESTED_ENUM, ONEOF = 2, 3, 4, 8
VALUE, METHOD = 2, 2


def described(protos, folder):
    """The contract files below a folder as descriptors with their comments."""
    out = folder / "contract.binpb"
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    include = resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"--proto_path={protos}", f"--proto_path={include}", "--include_source_info"]
    assert protoc.main([*arguments, f"--descriptor_set_out={out}", *files]) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file


@pytest.fixture(scope="module")
def contract(tmp_path_factory):
    return described(ROOT / "protos", tmp_path_factory.mktemp("contract"))


def elements(file):
    """Yields (name, descriptor, path of its source location) of everything that a file declares."""
    for place, service in enumerate(file.service):
        yield service.name, service, (SERVICE, place)
        for number, method in enumerate(service.method):
            yield f"{service.name}.{method.name}", method, (SERVICE, place, METHOD, number)
    for place, enum in enumerate(file.enum_type):
        yield from of_enum(enum, enum.name, (ENUM, place))
    for place, message in enumerate(file.message_type):
        yield from of_message(message, message.name, (MESSAGE, place))


def of_enum(enum, name, path):
    yield name, enum, path
    for number, value in enumerate(enum.value):
        yield f"{name}.{value.name}", value, (*path, VALUE, number)


def of_message(message, name, path):
    if message.options.map_entry:  # made by the compiler
        return
    yield name, message, path
    for number, field in enumerate(message.field):
        yield f"{name}.{field.name}", field, (*path, FIELD, number)
    optional = {field.oneof_index for field in message.field if field.proto3_optional}
    for number, oneof in enumerate(message.oneof_decl):
        if number not in optional:  # those are made by the compiler
            yield f"{name}.{oneof.name}", oneof, (*path, ONEOF, number)
    for number, nested in enumerate(message.nested_type):
        yield from of_message(nested, f"{name}.{nested.name}", (*path, NESTED_MESSAGE, number))
    for number, enum in enumerate(message.enum_type):
        yield from of_enum(enum, f"{name}.{enum.name}", (*path, NESTED_ENUM, number))


def uncommented(file):
    comments = {tuple(one.path): one.leading_comments.strip() for one in file.source_code_info.location}
    return [name for name, _, path in elements(file) if not comments.get(path)]


def test_every_element_of_the_contract_has_a_comment(contract):
    names = [name for file in contract for name, _, _ in elements(file)]
    for expected in (
        "RecommenderService.BatchRecommend",
        "RecommendRequest.caller",
        "RecommendRequest.k",
        "ErrorReason.ERROR_REASON_INTERNAL",
        "EmbeddingService",
    ):
        assert expected in names
    assert {file.name: uncommented(file) for file in contract} == {file.name: [] for file in contract}


def test_an_element_without_a_comment_is_noticed(tmp_path):
    (tmp_path / "bare.proto").write_text(
        'syntax = "proto3";\npackage bare;\n// Has one.\nmessage M {\n  // One.\n  string a = 1;\n  string b = 2;\n'
        "  oneof o {\n    // One.\n    string c = 3;\n  }\n  enum E {\n    E_UNSPECIFIED = 0;\n  }\n}\n"
        "service S {\n  rpc R(M) returns (M);\n}\n",
        encoding="utf-8",
    )
    (file,) = described(tmp_path, tmp_path)
    assert uncommented(file) == ["S", "S.R", "M.b", "M.o", "M.E", "M.E.E_UNSPECIFIED"]


def test_an_enums_zero_is_unspecified_and_its_values_carry_its_name(contract):
    enums = [
        one for file in contract for _, one, _ in elements(file) if isinstance(one, descriptor_pb2.EnumDescriptorProto)
    ]
    assert len(enums) >= 5
    for enum in enums:
        words = "".join("_" + letter if letter.isupper() else letter.upper() for letter in enum.name).lstrip("_")
        assert (enum.value[0].name, enum.value[0].number) == (f"{words}_UNSPECIFIED", 0)
        assert all(value.name.startswith(f"{words}_") for value in enum.value)


def test_no_integer_is_unsigned(contract):
    fields = [(name, one) for file in contract for name, one, _ in elements(file) if isinstance(one, Field)]
    assert [name for name, field in fields if field.type in UNSIGNED] == []


def test_the_package_is_the_folder(contract):
    assert {(file.package, str(Path(file.name).parent)) for file in contract} == {("shortlist.v1", "shortlist/v1")}


def test_every_file_names_its_package_in_each_language(contract):
    """Without these no Go can be generated at all, and Java's classes are nested in one of a made-up name."""
    for file in contract:
        options = file.options
        noun = Path(file.name).stem.title().replace("_", "")
        assert (options.go_package, options.java_package) == ("shortlist/v1;shortlistv1", "shortlist.v1")
        assert (options.java_multiple_files, options.java_outer_classname) == (True, f"{noun}Proto"), file.name
        names = (options.csharp_namespace, options.ruby_package, options.php_namespace, options.objc_class_prefix)
        assert names == ("Shortlist.V1", "Shortlist::V1", "Shortlist\\V1", "SHO"), file.name
