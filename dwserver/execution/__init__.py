"""The execution plane: the deployment's own workflows and activities, run by workers
of the official SDK that poll the server over HTTP like any other worker."""
