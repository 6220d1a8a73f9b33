/** What must be true of the product on a real node; see run.ts for where this runs. In this order, on one node. */
import "./pods.ts";
import "./upheaval.ts";
import "./operation.ts";
