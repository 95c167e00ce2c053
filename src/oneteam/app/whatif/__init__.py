"""What-if runs of a study: measures over its own scenario, run beside the face that asked for them, kept in the study's folder."""
