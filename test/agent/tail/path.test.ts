import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { resolveLog } from "../../../agent/tail/path.ts";
import { temporaryFolder } from "../../support/program.ts";

const ID = "ab".repeat(32);

function tree(root: string): { link: (name: string, target: string) => string; file: (...path: string[]) => string } {
  mkdirSync(join(root, "containers"));
  return {
    link: (name, target) => {
      const path = join(root, "containers", name);
      symlinkSync(target, path);
      return path;
    },
    file: (...path) => {
      const file = join(root, ...path);
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, "");
      return file;
    },
  };
}

test("identity comes from the path that a link leads to, also when the link's own name is cut", (context) => {
  const root = temporaryFolder(context);
  const { link, file } = tree(root);
  const target = file("pods", "shop_db.v2.example-0_0a1b-2c", "a", "3.log");
  const path = link("very-long-name-cut.log", target);
  assert.deepEqual(resolveLog(path, [root]), {
    kind: "log",
    target,
    log: {
      path,
      namespace: "shop",
      pod: "db.v2.example-0",
      uid: "0a1b-2c",
      container: "a",
      restart: 3,
      containerId: "",
    },
  });
});

test("docker's second link gives the file, the first one the identity, the name the container id", (context) => {
  const root = temporaryFolder(context);
  const { link, file } = tree(root);
  const real = file("docker", ID, `${ID}-json.log`);
  mkdirSync(join(root, "pods", "shop_web_u1", "app"), { recursive: true });
  const middle = join(root, "pods", "shop_web_u1", "app", "0.log");
  symlinkSync(real, middle);
  const found = resolveLog(link(`web_shop_app-${ID}.log`, middle), [root]);
  assert.equal(found.kind, "log");
  if (found.kind !== "log") return;
  assert.equal(found.target, real);
  assert.equal(found.log.containerId, ID);
  assert.equal(found.log.pod, "web");
});

test("a link to nowhere dangles, a link out of the roots is never followed, a foreign folder is told apart", (context) => {
  const root = temporaryFolder(context);
  const outside = temporaryFolder(context);
  const { link, file } = tree(root);
  const secret = join(outside, "ns_pod_uid", "c", "0.log");
  mkdirSync(join(secret, ".."), { recursive: true });
  writeFileSync(secret, "");
  assert.equal(resolveLog(link("a.log", join(root, "nowhere")), [root]).kind, "dangling");
  assert.equal(resolveLog(link("b.log", secret), [root]).kind, "outside");
  assert.equal(resolveLog(link("c.log", file("pods", "not-a-pod", "c", "0.log")), [root]).kind, "foreign");
  const loop = link("d.log", join(root, "containers", "d.log"));
  assert.equal(resolveLog(loop, [root]).kind, "dangling");
});

test("a folder whose name begins like a root is not below it", (context) => {
  const root = temporaryFolder(context);
  const { file } = tree(root);
  const path = file("pods-other", "ns_pod_uid", "c", "0.log");
  assert.equal(resolveLog(path, [join(root, "pods")]).kind, "outside");
});
