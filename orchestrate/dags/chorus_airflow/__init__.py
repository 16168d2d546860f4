"""What the DAGs beside this folder share; plain files, no package to install."""
