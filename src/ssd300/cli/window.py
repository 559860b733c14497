"""A window that shows drawn frames, with tkinter from the standard library."""

from typing import TYPE_CHECKING

from ssd300.errors import ArgumentError

if TYPE_CHECKING:
    import PIL.Image


class ResultWindow:
    """Shows one picture after the other. Raises ArgumentError without tkinter or a display."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise ArgumentError(
                "--show: this Python has no tkinter (Debian: apt install python3-tk); "
                "write a drawn video with --save-dir"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise ArgumentError(
                f"--show: there is no display ({error}); write a drawn video with --save-dir"
            ) from error
        self._root.title(title)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._open = True
        self._root.protocol("WM_DELETE_WINDOW", self._note_closed)

    def _note_closed(self) -> None:
        self._open = False

    def show(self, image: "PIL.Image.Image", title: str) -> bool:
        """Show a picture; return False if the window was closed."""
        from PIL import ImageTk

        self._photo = ImageTk.PhotoImage(image, master=self._root)  # tkinter itself keeps no reference
        self._label.configure(image=self._photo)
        self._root.title(title)
        self._root.update()
        return self._open

    def close(self) -> None:
        self._root.destroy()
