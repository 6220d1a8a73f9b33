/**
 * Google's published message definitions of Cloud Logging, as google-proto-files has them, ready for the strict JSON
 * conversion of @bufbuild/protobuf, which passes protobuf's own conformance tests. protobufjs reads the definitions; its
 * own conversion takes almost anything.
 */
import { join } from "node:path";
import { create, createFileRegistry, type DescMessage, type FileRegistry } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  type EnumDescriptorProto,
  EnumDescriptorProtoSchema,
  EnumValueDescriptorProtoSchema,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  MessageOptionsSchema,
  OneofDescriptorProtoSchema,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { getProtoPath } from "google-proto-files";
import protobuf from "protobufjs";

const FILE = "google/logging/v2/logging.proto";
const SCALARS: Readonly<Record<string, Type>> = {
  double: Type.DOUBLE,
  float: Type.FLOAT,
  int64: Type.INT64,
  int32: Type.INT32,
  bool: Type.BOOL,
  string: Type.STRING,
  bytes: Type.BYTES,
};

/** What is needed of a package, in the order in which it is found. */
interface Package {
  readonly messages: DescriptorProto[];
  readonly enums: EnumDescriptorProto[];
  readonly uses: Set<string>;
}

export interface LoggingProtos {
  readonly registry: FileRegistry;
  readonly request: DescMessage;
  readonly partialErrors: DescMessage;
}

export function loadProtos(): LoggingProtos {
  const root = new protobuf.Root();
  const folder = join(getProtoPath(), "..");
  root.resolvePath = (_, target) => join(folder, target);
  root.loadSync(FILE).resolveAll();
  const packages = new Map<string, Package>();
  const names = ["WriteLogEntriesRequest", "WriteLogEntriesPartialErrors"].map((name) => `google.logging.v2.${name}`);
  for (const name of names) addType(packages, root.lookupType(name));
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: ordered(packages).map(([name, { messages, enums, uses }]) =>
        create(FileDescriptorProtoSchema, {
          name,
          package: name,
          syntax: "proto3",
          dependency: [...uses],
          messageType: messages,
          enumType: enums,
        }),
      ),
    }),
  );
  const [request, partialErrors] = names.map((name) => registry.getMessage(name));
  if (request === undefined || partialErrors === undefined) throw new Error("the definitions lack a message");
  return { registry, request, partialErrors };
}

/** Packages after those that they use. */
function ordered(packages: ReadonlyMap<string, Package>): [string, Package][] {
  const done = new Map<string, Package>();
  const visit = (name: string): void => {
    const found = packages.get(name) as Package;
    for (const used of found.uses) if (!done.has(used)) visit(used);
    done.set(name, found);
  };
  for (const name of packages.keys()) visit(name);
  return [...done];
}

function packageOf(packages: Map<string, Package>, object: protobuf.ReflectionObject): [string, Package] {
  const name = (object.parent?.fullName ?? "").slice(1);
  const found = packages.get(name) ?? { messages: [], enums: [], uses: new Set<string>() };
  packages.set(name, found);
  return [name, found];
}

/** A message and all that it leads to. @returns its package. */
function addType(packages: Map<string, Package>, type: protobuf.Type): string {
  const [name, { messages, uses }] = packageOf(packages, type);
  if (messages.some((message) => message.name === type.name)) return name;
  const message = create(DescriptorProtoSchema, { name: type.name });
  messages.push(message);
  message.oneofDecl = type.oneofsArray.map((oneof) => create(OneofDescriptorProtoSchema, { name: oneof.name }));
  for (const field of type.fieldsArray) {
    const proto = fieldOf(packages, uses, name, field, type.oneofsArray);
    if (field instanceof protobuf.MapField) {
      const entry = `${field.name.charAt(0).toUpperCase()}${field.name.slice(1)}Entry`;
      const key = create(FieldDescriptorProtoSchema, {
        ...{ name: "key", number: 1, label: Label.OPTIONAL, jsonName: "key" },
        type: SCALARS[field.keyType] ?? Type.INT32,
      });
      const value = { ...proto, name: "value", number: 2, label: Label.OPTIONAL, jsonName: "value" };
      message.nestedType.push(
        create(DescriptorProtoSchema, {
          name: entry,
          field: [key, value],
          options: create(MessageOptionsSchema, { mapEntry: true }),
        }),
      );
      proto.type = Type.MESSAGE;
      proto.typeName = `${type.fullName}.${entry}`;
      proto.label = Label.REPEATED;
    }
    message.field.push(proto);
  }
  return name;
}

function fieldOf(
  packages: Map<string, Package>,
  uses: Set<string>,
  home: string,
  field: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
): FieldDescriptorProto {
  const { resolvedType } = field.resolve();
  const proto = create(FieldDescriptorProtoSchema, {
    name: field.name,
    number: field.id,
    jsonName: field.name,
    label: field.repeated ? Label.REPEATED : Label.OPTIONAL,
  });
  if (resolvedType === null) {
    const scalar = SCALARS[field.type];
    if (scalar === undefined) throw new Error(`a field of type ${field.type}`);
    proto.type = scalar;
  } else {
    const isMessage = resolvedType instanceof protobuf.Type;
    const used = isMessage ? addType(packages, resolvedType) : addEnum(packages, resolvedType);
    if (used !== home) uses.add(used);
    proto.type = isMessage ? Type.MESSAGE : Type.ENUM;
    proto.typeName = resolvedType.fullName;
  }
  if (field.partOf !== null) proto.oneofIndex = oneofs.indexOf(field.partOf);
  return proto;
}

function addEnum(packages: Map<string, Package>, type: protobuf.Enum): string {
  const [name, { enums }] = packageOf(packages, type);
  if (enums.some((known) => known.name === type.name)) return name;
  const value = Object.entries(type.values).map(([name, number]) =>
    create(EnumValueDescriptorProtoSchema, { name, number }),
  );
  enums.push(create(EnumDescriptorProtoSchema, { name: type.name, value }));
  return name;
}
