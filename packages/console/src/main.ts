// Entry of the page.
import { mount } from "svelte";
import "./tokens.css";
import "./base.css";
import App from "./app.svelte";
import { ConsoleModel } from "./console-model.svelte.ts";
import { Theme } from "./theme.svelte.ts";

const target = document.getElementById("console");
if (target === null) throw new Error("the page has no element #console");
const theme = new Theme(window);
const model = new ConsoleModel(window);
mount(App, { target, props: { model, theme } });
