# The class folder's settings for nbgrader. `python tasks.py assignment` has put this file here.
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from handed_in import STUB, Collector, Overwrite, Restore
from nbgrader import preprocessors as p
from steady import Steady

warnings.filterwarnings("ignore", module="sqlalchemy|nbgrader|jupyter_client")

c = get_config()  # noqa: F821 - nbgrader gives it
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
c.CourseDirectory.course_id = "what_i_cannot_create"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
c.ClearSolutions.text_stub = STUB
# Tests and locked cells come back as they were handed out (handed_in.py), no answer stops the grading (steady.py).
c.Autograde.sanitize_preprocessors = [
    p.ClearOutput,
    Restore,
    p.DeduplicateIds,
    p.OverwriteKernelspec,
    Overwrite,
    p.CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    Steady,
    p.IgnorePattern,
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    p.LimitOutput,
    p.SaveAutoGrades,
    p.AssignLatePenalties,
    p.CheckCellMetadata,
]
# zip_collect may be repeated: the newest file of a student counts, whatever its name (handed_in.py).
c.ZipCollectApp.collector_plugin = Collector
c.ZipCollectApp.force = True
