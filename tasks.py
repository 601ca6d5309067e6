"""The Kubeflow tutorial, one command a stage.

invoke all                              everything, on this machine: train, serve, and a page to try it
invoke train --set training.steps=3000  one stage, with one setting changed
invoke --env=staging all                the same on GKE; `plan` says first what that would do
invoke clean                            takes down what was made here, and proves it
"""

from invoke.context import Context
from invoke.tasks import task

from pipeline import program

program.adopt()


@task
def deploy(c: Context) -> None:
    """Make the cluster and the bucket; here, folders."""
    from pipeline.running import up

    up(c, "deploy")


@task(help={"check": "Also run the trainer for 20 steps on bundled digits."})
def build(c: Context, check: bool = False) -> None:
    """Build the images; here, their folders run as they are."""
    from pipeline.running import up

    up(c, "build", check=check)


@task(help={"tag": "Version to make or to go on with: a Unix time.", "force": "Train even if nothing changed."})
def train(c: Context, tag: str = "", force: bool = False) -> None:
    """Train MNIST as a TFJob and export it as a version."""
    from pipeline.running import up

    up(c, "train", tag=tag or None, force=force)


@task
def serve(c: Context) -> None:
    """Serve the newest version if it passes the gate."""
    from pipeline.running import up

    up(c, "serve")


@task(
    positional=["version"],
    help={
        "version": "Which one, by its tag.",
        "percent": "Only this share of the predictions, 1 to 99: a canary.",
        "force": "Even if the gate refuses it; that is recorded.",
    },
)
def promote(c: Context, version: str = "", percent: str = "", force: bool = False) -> None:
    """Make a version stable and serve it, or try it on a share."""
    from pipeline.running import up

    up(c, "promote", version=version, percent=percent or None, force=force)


@task
def rollback(c: Context) -> None:
    """Serve the version again that was stable before."""
    from pipeline.running import up

    up(c, "rollback")


@task
def ui(c: Context) -> None:
    """Put the web page in front of the model server."""
    from pipeline.running import up

    up(c, "ui")


@task
def all(c: Context) -> None:
    """Run deploy, build, train, serve and ui."""
    from pipeline.running import up
    from pipeline.stages import STAGES

    up(c, *STAGES)


@task(help={"no-train": "Leave it at the search: make no version of what was best."})
def tune(c: Context, no_train: bool = False) -> None:
    """Search for better settings; the best make a version."""
    from pipeline.running import up

    up(c, "tune", no_train=no_train)


@task(positional=["stage"], help={"stage": "Only this one: deploy, …, ui, tensorboard, notebook or tune."})
def plan(c: Context, stage: str = "") -> None:
    """Say what would run and why; 0: nothing, 2: something."""
    from pipeline.running import plan
    from pipeline.stages import chosen

    plan(c, *chosen(stage))


@task
def doctor(c: Context) -> None:
    """Check what the environment needs, with a fix for each."""
    from pipeline.doctor import doctor

    doctor(c)


@task
def status(c: Context) -> None:
    """Show what runs, where, and which versions there are."""
    from pipeline.views import status

    status(c)


@task(
    positional=["component"],
    help={
        "component": "Which one: train, serving, canary, router, ui, ….",
        "lines": "How many of the last lines.",
        "follow": "Go on with new lines until Ctrl-C.",
    },
)
def logs(c: Context, component: str = "train", lines: int = 40, follow: bool = False) -> None:
    """Show the log of the training, or of another component."""
    from pipeline.views import logs

    logs(c, component, lines, follow)


@task(help={"count": "How many test images to send, 1 to 500."})
def predict(c: Context, count: int = 10) -> None:
    """Send test images to the server and print the digits."""
    from pipeline.views import predict

    predict(c, count)


@task(help={"count": "How many test images to send, 1 to 500."})
def smoke(c: Context, count: int = 100) -> None:
    """Ask the service with test images: right, quick, which."""
    from pipeline.views import smoke

    smoke(c, count)


@task(help={"count": "How many test images to send to each, 1 to 500."})
def canary(c: Context, count: int = 200) -> None:
    """Compare the version on trial with the stable one."""
    from pipeline.comparison import canary

    canary(c, count)


@task(help={"json": "Print the whole model cards as JSON."})
def models(c: Context, json: bool = False) -> None:
    """List the versions: what each reached, which is stable."""
    from pipeline.models import models

    models(c, json)


@task(
    name="open",
    positional=["page"],
    help={
        "page": "Which one: ui, tensorboard, notebook or dashboard.",
        "browser": "Also show it in a browser.",
        "port": "Port on this machine for what is forwarded; 0: a free one.",
    },
)
def open_page(c: Context, page: str = "ui", browser: bool = True, port: int = 0) -> None:
    """Print a page's address and show it in a browser."""
    from pipeline.pages import open_page

    open_page(c, page, browser, port)


@task
def tensorboard(c: Context) -> None:
    """Show the training curves of every run."""
    from pipeline.running import up

    up(c, "tensorboard")


@task(help={"browser": "Also show it in a browser."})
def notebook(c: Context, browser: bool = True) -> None:
    """Open Jupyter on a notebook that trains with this code."""
    from pipeline.pages import notebook

    notebook(c, browser)


@task
def dashboard(c: Context) -> None:
    """Open Kubeflow's dashboard and list the console's pages."""
    from pipeline.pages import open_page

    open_page(c, "dashboard")


@task(
    positional=["component"],
    help={
        "component": "Only this: train, serving, service, web-ui, tensorboard, ….",
        "tag": "Version tag to render with; now if left out.",
    },
)
def render(c: Context, component: str = "", tag: str = "") -> None:
    """Write the manifests to build/<environment>/."""
    from pipeline.views import render

    render(c, component, tag)


@task(
    positional=["component"],
    help={
        "component": "Only this group, such as training.",
        "diff": "Compare instead: --diff staging production.",
    },
)
def config(c: Context, component: str = "", diff: str = "") -> None:
    """List settings: value, type, and file and line of origin."""
    from pipeline.execution import say
    from pipeline.listing import lines

    say("\n".join(lines(c, component, diff)))


@task(
    help={
        "keep-models": "Keep the bucket with its versions and checkpoints.",
        "yes": "Do not ask.",
        "yes-i-mean": "The environment's name: what a protected one wants.",
    }
)
def clean(c: Context, keep_models: bool = False, yes: bool = False, yes_i_mean: str = "") -> None:
    """Take down all that was made here, and prove it."""
    from pipeline.running import down

    down(c, keep_models, yes, yes_i_mean)


@task(
    positional=["what"],
    help={
        "what": "Which one: train or serve.",
        "rounds": "How often each takes its turn.",
        "quick": "Moments of each, to see that it works; writes no page.",
        "scaling": "Train only: how time grows with steps and workers.",
    },
)
def bench(c: Context, what: str = "", rounds: int = 3, quick: bool = False, scaling: bool = False) -> None:
    """Measure against others, for docs/benchmarks.md."""
    from pipeline.bench import run

    run(c, what, rounds, quick, scaling)


@task(
    help={
        "only": "A pytest expression: only tests that match it.",
        "fast": "Leave out tests that train or browse.",
    }
)
def test(c: Context, only: str = "", fast: bool = False) -> None:
    """Run the tests; no cloud, no docker, no network needed."""
    from pipeline.testing import run_tests

    run_tests(only, fast)
