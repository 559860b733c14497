// Code and tables that scroll sideways can be reached and scrolled by keyboard.
function letScrollingRegionsHaveFocus() {
  for (const region of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0;
    else region.removeAttribute("tabindex");
  }
}
addEventListener("load", letScrollingRegionsHaveFocus);
addEventListener("resize", letScrollingRegionsHaveFocus);
