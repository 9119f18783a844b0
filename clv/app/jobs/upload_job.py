"""What is known of one upload: which step it is at, how far that is, what went wrong."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Step = Literal["check", "train", "publish"]
State = Literal["queued", "running", "done", "failed", "stopped"]
Extra = Literal["spend", "contacts", "campaign", "order_lines"]


class ExtraFile(BaseModel):
    """A file that goes with the orders: its name in the job's folder, and what it was called."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    title: str


class UploadJob(BaseModel):
    """An upload, and the step that is worked on or was last.

    Attributes
    ----------
    job_id
        Its name, and that of its folder.
    owner, begun
        Who uploaded it and when, in UTC.
    title
        What the file was called where it came from; never a path here.
    orders
        The name that the file has in the job's folder.
    extras
        By kind, what goes with the orders when they are published.
    step, state
        What is done, and whether it waits, runs, or how it ended.
    doing, part, parts
        What is done at present, the how manieth of how many parts.
    attempts
        How often the step was begun.
    answers
        Fields of ``[data]`` that the owner decided otherwise than the file suggests.
    terms
        Fields of ``[terms]`` that the owner decided.
    version
        Of the registered model that was trained; 0 before.
    with_new
        Whether what was trained is to be the model in use.
    served_before
        The file that was served before the publish began; empty before.
    published
        The file that was published; empty before.
    error, hint
        Why the step failed, and what to try.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job_id: str
    owner: str
    begun: str
    title: str
    orders: str
    extras: dict[Extra, ExtraFile] = {}
    step: Step = "check"
    state: State = "queued"
    doing: str = ""
    part: int = 0
    parts: int = 0
    attempts: int = 0
    answers: dict[str, Any] = {}
    terms: dict[str, Any] = {}
    version: int = 0
    with_new: bool = True
    served_before: str = ""
    published: str = ""
    error: str = ""
    hint: str = ""

    @property
    def waits_for_worker(self) -> bool:
        """Whether there is something to work on."""
        return self.state in ("queued", "running")
