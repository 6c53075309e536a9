import { Component, type ReactNode } from "react";

interface Props {
  /** What the children render: with something else they are tried again. */
  of: unknown;
  /** Stands in their place while they cannot. */
  instead: ReactNode;
  children: ReactNode;
}

interface State {
  /** What the children failed to render. */
  failed: { of: unknown } | undefined;
}

/** Keeps the fault of a part from taking the page with it. */
export class Boundary extends Component<Props, State> {
  override state: State = { failed: undefined };

  static getDerivedStateFromError(): State {
    return { failed: { of: undefined } };
  }

  static getDerivedStateFromProps({ of }: Props, { failed }: State): State {
    if (failed === undefined) return { failed };
    if (failed.of === undefined) return { failed: { of } };
    return { failed: failed.of === of ? failed : undefined };
  }

  override render(): ReactNode {
    return this.state.failed === undefined ? this.props.children : this.props.instead;
  }
}
