declare module "htmx.org/dist/htmx.esm.min.js";
declare module "htmx.org/dist/ext/hx-sse.min.js";
