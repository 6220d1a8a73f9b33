console.error("before throw");
function load() {
  null.rows;
}
load();
